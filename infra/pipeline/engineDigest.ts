/** What `pulumi preview --json` prints: of its many fields, those that are read here. Pure. */

import { z } from "zod";
import { PreviewError } from "../errors.ts";

const stateSchema = z.looseObject({
  type: z.string(),
  parent: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
});
/** A resource before or after; values of secrets are `[secret]`. */
export type EngineState = z.output<typeof stateSchema>;

const stepSchema = z.looseObject({
  op: z.string(),
  urn: z.string(),
  /** URN and id of the provider that it is reached by. */
  provider: z.string().optional(),
  oldState: stateSchema.optional(),
  newState: stateSchema.optional(),
  diffReasons: z.array(z.string()).nullish(),
  replaceReasons: z.array(z.string()).nullish(),
  detailedDiff: z.record(z.string(), z.unknown()).nullish(),
});
export type EngineStep = z.output<typeof stepSchema>;

const digestSchema = z.looseObject({
  steps: z.array(stepSchema).nullish(),
  diagnostics: z
    .array(
      z.looseObject({
        urn: z.string().optional(),
        message: z.string(),
        severity: z.string(),
      }),
    )
    .nullish(),
  changeSummary: z.record(z.string(), z.number()).nullish(),
});

/** Something that the engine or the program said. */
export interface Diagnostic {
  readonly urn?: string | undefined;
  readonly severity: "error" | "warning" | "info";
  /** Without the severity in front, and without the line's end. */
  readonly text: string;
}

/** A preview. */
export interface EngineDigest {
  readonly steps: readonly EngineStep[];
  /** Each once, in their order. */
  readonly diagnostics: readonly Diagnostic[];
  /** How many resources of each operation; nothing when the preview did not come to its end. */
  readonly counts: Readonly<Record<string, number>> | undefined;
}

/** Words of the engine's own that say nothing of the stack. */
const noise = [
  /^using pulumi-(resource|language|analyzer)-\S+ from \$PATH/,
  /^preview failed$/i,
];

/**
 * Reads what the engine printed.
 *
 * @throws {PreviewError} for what is no preview.
 */
export function parseDigest(printed: string): EngineDigest {
  const parsed = digestSchema.safeParse(jsonIn(printed));
  if (!parsed.success) {
    throw new PreviewError(
      `What pulumi preview --json printed is no preview: ${z.prettifyError(parsed.error)}`,
    );
  }
  const { steps, diagnostics, changeSummary } = parsed.data;
  return {
    steps: steps ?? [],
    diagnostics: uniqueDiagnostics(
      (diagnostics ?? []).map(({ urn, message, severity }) => ({
        ...(urn === undefined ? {} : { urn }),
        severity: severityOf(severity),
        text: message
          .replace(/^(error|warning|info): /, "")
          .replace(/^Preview failed: /, "")
          .trimEnd(),
      })),
    ),
    counts: changeSummary ?? undefined,
  };
}

/** The document; what stands before or behind it the engine printed beside it. */
function jsonIn(printed: string): unknown {
  const start = printed.search(/^\{/m);
  const end = printed.search(/^\}/m);
  try {
    return JSON.parse(printed.slice(Math.max(start, 0), end + 1));
  } catch {
    throw new PreviewError(
      `pulumi preview --json printed no JSON, but: ${printed.slice(0, 2000) || "nothing"}`,
    );
  }
}

function severityOf(severity: string): Diagnostic["severity"] {
  if (severity === "error") return "error";
  return severity === "warning" ? "warning" : "info";
}

function uniqueDiagnostics(all: readonly Diagnostic[]): readonly Diagnostic[] {
  const seen = new Set<string>();
  return all.filter(({ urn, severity, text }) => {
    const id = JSON.stringify([urn, severity, text]);
    if (text === "" || seen.has(id) || noise.some((each) => each.test(text))) {
      return false;
    }
    seen.add(id);
    return true;
  });
}

/** Last part of a URN: `urn:pulumi:stack::project::types::name`. */
export function nameOfUrn(urn: string): string {
  return urn.split("::").slice(3).join("::");
}

/** The resource's own type: the last of those that its URN has. */
export function typeOfUrn(urn: string): string {
  return urn.split("::")[2]?.split("$").at(-1) ?? "";
}
