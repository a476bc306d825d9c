/** What benchmarks find out, and how it is shown. Pure. */

/** What a program and all that it started took. */
export interface Usage {
  readonly seconds: number;
  /** User and system time of all processes. */
  readonly cpuSeconds: number;
  /** At one moment, of all processes together. */
  readonly peakMemoryMiB: number;
}

/** One of the two that are compared: measured, impossible on this machine, or gone wrong. */
export type Side =
  | (Usage & { readonly [detail: string]: number })
  | { readonly skipped: string }
  | { readonly failed: string };

/** Two ways to the same end, measured one after the other on the same machine. */
export interface Comparison {
  /** Unique among all benchmarks: the property's name in JSON. */
  readonly name: string;
  /** What ours and theirs are. */
  readonly labels: { readonly ours: string; readonly theirs: string };
  readonly ours: Side;
  readonly theirs: Side;
  /** What else was found, such as differences in what came out; in JSON as it is. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Lines for people, below the table. */
  readonly notes?: readonly string[];
}

/** Whether a side has figures. */
export function isMeasured(
  side: Side,
): side is Usage & { readonly [detail: string]: number } {
  return "seconds" in side;
}

/**
 * Their seconds by ours: above 1, ours is so many times as fast; below 1, theirs is faster. `null` unless both
 * sides were measured.
 */
export function ratioOf({ ours, theirs }: Comparison): number | null {
  if (!isMeasured(ours) || !isMeasured(theirs)) return null;
  return rounded(theirs.seconds / ours.seconds, 2);
}

/** All comparisons as one object, by their names. */
export function toJson(comparisons: readonly Comparison[]): string {
  const entries = comparisons.map((comparison) => [
    comparison.name,
    {
      ratio: ratioOf(comparison),
      ours: roundedSide(comparison.ours),
      theirs: roundedSide(comparison.theirs),
      ...comparison.details,
    },
  ]);
  return JSON.stringify(Object.fromEntries(entries), null, 2);
}

/** All comparisons as a table for people. */
export function toTable(comparisons: readonly Comparison[]): string {
  const head = ["", "", "seconds", "CPU seconds", "peak MiB", "ratio"];
  const rows = comparisons.flatMap((comparison) => {
    const ratio = ratioOf(comparison);
    const { labels, name, ours, theirs } = comparison;
    return [
      [name, labels.ours, ...cells(ours), ""],
      ["", labels.theirs, ...cells(theirs), ratio?.toFixed(2) ?? ""],
    ];
  });
  const notes = comparisons.flatMap((comparison) => [
    ...(["ours", "theirs"] as const).flatMap((side) =>
      remark(comparison.labels[side], comparison[side]).map(
        (text) => `${comparison.name}: ${text}`,
      ),
    ),
    ...(comparison.notes ?? []).map((text) => `${comparison.name}: ${text}`),
  ]);
  const legend =
    "ratio: seconds of the second by those of the first; above 1, the first is faster";
  return [...aligned([head, ...rows]), "", legend, ...notes].join("\n");
}

/** Numbers of a side, or why there are none. */
function cells(side: Side): readonly string[] {
  if (isMeasured(side)) {
    return [
      side.seconds.toFixed(1),
      side.cpuSeconds.toFixed(1),
      side.peakMemoryMiB.toFixed(0),
    ];
  }
  return ["skipped" in side ? "skipped" : "failed", "", ""];
}

function remark(label: string, side: Side): readonly string[] {
  if ("skipped" in side) return [`${label} was skipped: ${side.skipped}`];
  if ("failed" in side) return [`${label} failed: ${side.failed}`];
  return [];
}

/** Texts to the left, numbers to the right. */
function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column < 2
          ? cell.padEnd(widths[column] ?? 0)
          : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

function roundedSide(side: Side): Side {
  if (!isMeasured(side)) return side;
  return Object.fromEntries(
    Object.entries(side).map(([name, value]) => [name, rounded(value, 1)]),
  ) as Side;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
