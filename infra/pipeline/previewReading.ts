/** Makes a preview's document from what the engine printed. Pure. */

import type { Explanation } from "../explanation.ts";
import type { EngineDigest, EngineState, EngineStep } from "./engineDigest.ts";
import { nameOfUrn, typeOfUrn } from "./engineDigest.ts";
import {
  type Change,
  documentFormat,
  mostProblems,
  type PackageDifference,
  type PreviewDocument,
} from "./previewDocument.ts";
import type { Redact } from "./redaction.ts";
import {
  type PlaceRegions,
  placeOf,
  placeRegions,
  type ResourcePlace,
  regionsOfState,
} from "./resourcePlace.ts";

/** What a document is made from. */
export interface PreviewSources {
  readonly stack: string;
  readonly state: PreviewDocument["state"];
  readonly leftOut: readonly string[];
  /** Nothing where the engine came to no preview at all. */
  readonly digest: EngineDigest | undefined;
  /** Whether the engine ended well. */
  readonly isComplete: boolean;
  /** What it said where it came to no preview. */
  readonly failure: string | undefined;
  /** The stack's file, without the prefix of its keys. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly explanations: readonly Explanation[];
  readonly unexplained: string | undefined;
  readonly packages: readonly PackageDifference[];
  readonly redact: Redact;
}

/** The document, within its bounds and without secrets. */
export function previewDocument(sources: PreviewSources): PreviewDocument {
  const { digest, redact, explanations } = sources;
  const regions = placeRegions(sources.config);
  const steps = (digest?.steps ?? []).map((step) => ({
    step,
    place: placeOf(step.urn, regions.names),
    change: changeOf(step.op),
  }));
  const counts = digest?.counts ?? {};
  const count = (...names: readonly string[]) =>
    names.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  const short = (text: string) => cut(redact(text), 300);
  return {
    format: documentFormat,
    stack: sources.stack,
    state: sources.state,
    leftOut: [...sources.leftOut],
    isComplete: sources.isComplete,
    counts: {
      create: count("create", "import"),
      update: count("update"),
      replace: count("replace", "create-replacement"),
      delete: count("delete"),
      same: count("same"),
    },
    versions: versionsOf(steps),
    publications: publicationsOf(steps, regions),
    explanations: explanations.map(({ name, key, newestBuild, changes }) => ({
      definition: name,
      key: key.slice(0, 12),
      ...(newestBuild === undefined
        ? {}
        : {
            before: {
              key: newestBuild.key.slice(0, 12),
              version: newestBuild.version,
            },
          }),
      reasons: changes.slice(0, 500).map(short),
    })),
    ...(sources.unexplained === undefined
      ? {}
      : { unexplained: cut(redact(sources.unexplained), 20_000) }),
    packages: [...sources.packages],
    machines: resourcesOf(steps, short, ({ kind }) => kind === "machine"),
    others: resourcesOf(
      steps,
      short,
      (place) =>
        ["other", "gitlab", "runner"].includes(place.kind) ||
        (place.kind === "publication" && place.version === undefined),
    ),
    problems: problemsOf(sources).slice(0, mostProblems),
  };
}

interface PlacedStep {
  readonly step: EngineStep;
  readonly place: ResourcePlace;
  /** `undefined` for what stays as it is. */
  readonly change: Change | undefined;
}

/** What an operation of the engine does. */
function changeOf(op: string): Change | undefined {
  switch (op) {
    case "create":
    case "import":
      return "appears";
    case "update":
      return "changes";
    case "replace":
    case "create-replacement":
      return "replaced";
    case "delete":
      return "goes";
    default:
      return undefined;
  }
}

function versionsOf(steps: readonly PlacedStep[]): PreviewDocument["versions"] {
  const sizes = new Map<string, number>();
  for (const { step, place } of steps) {
    if (place.kind !== "image") continue;
    const size = sizeOf(step.newState ?? step.oldState);
    if (size !== undefined) sizes.set(idOf(place.version), size);
  }
  return steps.flatMap(({ place, change }) => {
    if (place.kind !== "version") return [];
    const sizeGiB = sizes.get(idOf(place.version));
    return [
      {
        ...place.version,
        change:
          change === "appears" || change === "goes"
            ? change
            : ("stays" as const),
        ...(sizeGiB === undefined ? {} : { sizeGiB }),
      },
    ];
  });
}

function idOf({ definition, key }: { definition: string; key: string }) {
  return `${definition} ${key}`;
}

/** Of the disk that a build's definition asks for. */
function sizeOf(state: EngineState | undefined): number | undefined {
  const definition = state?.inputs?.definition as
    | { readonly disk?: { readonly sizeGiB?: unknown } }
    | string
    | undefined;
  const size =
    typeof definition === "object" ? definition?.disk?.sizeGiB : undefined;
  return typeof size === "number" && size > 0 ? size : undefined;
}

function publicationsOf(
  steps: readonly PlacedStep[],
  regions: PlaceRegions,
): PreviewDocument["publications"] {
  const groups = Map.groupBy(
    steps.filter(
      ({ place, change }) =>
        place.kind === "publication" &&
        place.version !== undefined &&
        change !== undefined,
    ),
    ({ place }) => JSON.stringify(place),
  );
  return [...groups.values()].flatMap((group) => {
    const place = group[0]?.place;
    if (place?.kind !== "publication" || place.version === undefined) return [];
    const known = regions.regionsOf(place.platform, place.place);
    const ofStates = group.flatMap(({ step }) =>
      regionsOfState(step.newState ?? step.oldState),
    );
    const all = known.length > 0 ? known : [...new Set(ofStates)];
    return [
      {
        ...place.version,
        platform: place.platform,
        ...(place.place === undefined ? {} : { place: place.place }),
        regions: all.slice(0, 200),
        change: together(group.flatMap(({ change }) => change ?? [])),
      },
    ];
  });
}

/** What becomes of something by what becomes of its parts. */
function together(changes: readonly Change[]): Change {
  const [first] = new Set(changes);
  if (first !== undefined && new Set(changes).size === 1) return first;
  return changes.includes("replaced") ? "replaced" : "changes";
}

function resourcesOf(
  steps: readonly PlacedStep[],
  short: (text: string) => string,
  isMeant: (place: ResourcePlace) => boolean,
): PreviewDocument["others"] {
  return steps.flatMap(({ step, place, change }) => {
    if (change === undefined || !isMeant(place)) return [];
    const most = groupSize(step.newState ?? step.oldState);
    return [
      {
        type: short(typeOfUrn(step.urn)),
        name: short(nameOfUrn(step.urn)),
        change,
        properties: changedProperties(step).slice(0, 100).map(short),
        ...(most === undefined ? {} : { most }),
      },
    ];
  });
}

/** Names of the properties that change. */
export function changedProperties(step: EngineStep): readonly string[] {
  const detailed = Object.keys(step.detailedDiff ?? {});
  return detailed.length > 0
    ? detailed
    : [
        ...new Set([
          ...(step.replaceReasons ?? []),
          ...(step.diffReasons ?? []),
        ]),
      ];
}

/** How many machines a group may have. */
function groupSize(state: EngineState | undefined): number | undefined {
  const size = state?.inputs?.maxSize;
  return typeof size === "number" && Number.isInteger(size) && size >= 0
    ? size
    : undefined;
}

function problemsOf({
  digest,
  failure,
  redact,
}: PreviewSources): PreviewDocument["problems"] {
  const said = (digest?.diagnostics ?? []).filter(
    ({ severity }) => severity !== "info",
  );
  const all = [
    ...(failure === undefined
      ? []
      : [{ severity: "error" as const, text: failure }]),
    ...said.map(({ severity, text, urn }) => ({
      severity,
      text: urn === undefined ? text : `${nameOfUrn(urn)}: ${text}`,
    })),
  ];
  return all.map(({ severity, text }) => ({
    severity,
    text: cut(redact(text), 20_000),
  }));
}

/** The beginning of a text that is too long. */
export function cut(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}
