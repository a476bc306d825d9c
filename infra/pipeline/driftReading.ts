/** What somebody altered behind Pulumi's back, place by place, from what the engine printed. Pure. */

import { isDeepStrictEqual } from "node:util";
import {
  type EngineDigest,
  type EngineState,
  type EngineStep,
  nameOfUrn,
  typeOfUrn,
} from "./engineDigest.ts";
import { changedProperties } from "./previewReading.ts";
import type { Redact } from "./redaction.ts";
import { type PlaceNames, placeOf } from "./resourcePlace.ts";

/** A resource that is not what the state has. */
export interface DriftedResource {
  readonly urn: string;
  readonly name: string;
  readonly type: string;
  readonly kind: "altered" | "gone";
  /** What differs: names of properties, or what a refresh found wrong. */
  readonly details: readonly string[];
}

/** A group of resources that are looked at together: a place, the store's images, GitLab's projects, machines. */
export interface DriftGroup {
  /** `ec2 frankfurt`, `images`. */
  readonly name: string;
  /** How many resources it has. */
  readonly resources: number;
  readonly drifted: readonly DriftedResource[];
  /** Why it could not be looked at. */
  readonly unreachable: string | undefined;
  /** Resources that an up would change although nobody altered them. */
  readonly pending: number;
}

/** Everything that a look at a stack found. */
export interface DriftReport {
  readonly stack: string;
  /** In the order of their names. */
  readonly groups: readonly DriftGroup[];
}

/** Name of the group that a resource belongs to; none of those that stand for no thing. */
export function groupOf(urn: string, places: PlaceNames): string | undefined {
  const type = typeOfUrn(urn);
  // A component is what its parts are.
  if (type.startsWith("cloud-images:")) return undefined;
  const place = placeOf(urn, places);
  switch (place.kind) {
    case "stack":
    case "version":
    case "provider":
      return undefined;
    case "image":
      return "images";
    case "publication":
      return [place.platform, ...(place.place ? [place.place] : [])].join(" ");
    case "gitlab":
      return place.part === "gitlab" ? "gitlab" : `gitlab ${place.part}`;
    case "machine":
      return "machines";
    case "runner":
      return "runners";
    case "other":
      return type.split(":")[0] ?? "others";
  }
}

/** What the engine said of each resource. */
interface Looked {
  /** As the state had it. */
  before: EngineState | undefined;
  /** What an up would do. */
  step: EngineStep | undefined;
}

/** Operations that change nothing. */
const quiet = new Set(["same", "refresh", "read", "discard"]);

/**
 * Reads drift out of a preview with refresh. Each resource of the state has a step `refresh` with what it was; what an up would do
 * comes after it, with what was found. A change whose resource was found as it was is none that anybody made there: the
 * program wants something new.
 *
 * @param unreachable groups that could not be looked at, and why; they are left out of the preview
 * @param pendingAnyway resources that a preview without refresh would change, too: asked where secrets hide what differs
 */
export function readDrift(
  stack: string,
  digest: EngineDigest,
  {
    places,
    unreachable,
    pendingAnyway,
    redact,
  }: {
    readonly places: PlaceNames;
    readonly redact: Redact;
    readonly unreachable: ReadonlyMap<string, string>;
    readonly pendingAnyway?: ReadonlySet<string> | undefined;
  },
): DriftReport {
  const groups = new Map<
    string,
    { resources: number; drifted: DriftedResource[]; pending: number }
  >();
  for (const name of unreachable.keys()) {
    groups.set(name, { resources: 0, drifted: [], pending: 0 });
  }
  for (const [urn, looked] of byResource(digest)) {
    const name = groupOf(urn, places);
    if (name === undefined) continue;
    const group = groups.get(name) ?? { resources: 0, drifted: [], pending: 0 };
    groups.set(name, group);
    group.resources += 1;
    const drifted = driftOf(urn, looked, pendingAnyway);
    if (drifted !== undefined) {
      const details = drifted.details.map(redact);
      group.drifted.push({ ...drifted, details });
    }
    if (drifted === undefined && looked.step !== undefined) group.pending += 1;
  }
  return {
    stack,
    groups: [...groups]
      .map(([name, group]) => ({
        name,
        ...group,
        unreachable: unreachable.get(name),
      }))
      .sort((one, other) => (one.name < other.name ? -1 : 1)),
  };
}

function byResource({ steps }: EngineDigest): ReadonlyMap<string, Looked> {
  const all = new Map<string, Looked>();
  for (const step of steps) {
    const looked = all.get(step.urn) ?? { before: undefined, step: undefined };
    all.set(step.urn, looked);
    looked.before ??= step.op === "create" ? undefined : step.oldState;
    if (!quiet.has(step.op)) looked.step = step;
  }
  return all;
}

function driftOf(
  urn: string,
  { before, step }: Looked,
  pendingAnyway: ReadonlySet<string> | undefined,
): DriftedResource | undefined {
  if (before === undefined || step === undefined) return undefined;
  const [name, type] = [nameOfUrn(urn), typeOfUrn(urn)];
  // What the state has and the program wants is made anew only where it was not found.
  if (step.op === "create") {
    return { urn, name, type, kind: "gone", details: [] };
  }
  const found = step.oldState;
  if (found === undefined) return undefined;
  const isSame =
    isDeepStrictEqual(found.outputs, before.outputs) &&
    isDeepStrictEqual(found.inputs, before.inputs);
  if (isSame && !(pendingAnyway && !pendingAnyway.has(urn))) return undefined;
  return {
    ...{ urn, name, type },
    kind: "altered",
    details: detailsOf(before, found, step),
  };
}

/** What a refresh noted; otherwise the properties that differ. */
function detailsOf(
  before: EngineState,
  found: EngineState,
  step: EngineStep,
): readonly string[] {
  const problems = found.outputs?.problems;
  if (Array.isArray(problems) && problems.length > 0) {
    return problems.map(String);
  }
  const changed = changedProperties(step);
  if (changed.length > 0) return changed;
  const names = new Set([
    ...Object.keys(before.outputs ?? {}),
    ...Object.keys(found.outputs ?? {}),
  ]);
  return [...names]
    .filter(
      (name) =>
        !isDeepStrictEqual(before.outputs?.[name], found.outputs?.[name]),
    )
    .sort();
}

/** Whether a preview without refresh has to be asked: a change hides behind the same word, `[secret]`, before and after. */
export function hidesSecrets(digest: EngineDigest): boolean {
  return [...byResource(digest)].some(
    ([, { before, step }]) =>
      before !== undefined &&
      step?.oldState !== undefined &&
      isDeepStrictEqual(step.oldState.outputs, before.outputs) &&
      JSON.stringify(before.outputs ?? {}).includes('"[secret]"'),
  );
}

/** Resources that an up would change. */
export function changedUrns({ steps }: EngineDigest): ReadonlySet<string> {
  return new Set(
    steps.filter(({ op }) => !quiet.has(op)).map(({ urn }) => urn),
  );
}

/** Groups whose resources the engine could not read, with what it said, and all resources of theirs that it named. */
export function unreachableGroups(
  digest: EngineDigest,
  places: PlaceNames,
): ReadonlyMap<
  string,
  { readonly why: string; readonly urns: readonly string[] }
> {
  const why = new Map<string, string>();
  for (const { urn, severity, text } of digest.diagnostics) {
    if (severity !== "error" || urn === undefined) continue;
    // A provider that cannot be set up takes all with it that is reached by it.
    const failed = typeOfUrn(urn).startsWith("pulumi:providers:")
      ? digest.steps
          .filter(({ provider }) => provider?.startsWith(`${urn}::`))
          .map((step) => step.urn)
      : [urn];
    for (const group of failed.map((each) => groupOf(each, places))) {
      if (group !== undefined && !why.has(group)) why.set(group, text);
    }
  }
  const urns = [...new Set(digest.steps.map((step) => step.urn))];
  return new Map(
    [...why].map(([group, text]) => [
      group,
      {
        why: text,
        urns: urns.filter((urn) => groupOf(urn, places) === group),
      },
    ]),
  );
}

export function hasDrift({ groups }: DriftReport): boolean {
  return groups.some(({ drifted }) => drifted.length > 0);
}

export function isUnreachable({ groups }: DriftReport): boolean {
  return groups.some(({ unreachable }) => unreachable !== undefined);
}
