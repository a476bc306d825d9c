/** Images as text for people. Pure. */

import type { ExpandedImage } from "./expand.ts";

/** A table of images: one line each, below one of headings. */
export function imageTable(images: readonly ExpandedImage[]): string {
  const rows = images.map(({ definition, types }) => [
    definition.name,
    definition.release.codename,
    definition.architecture,
    definition.variant,
    types.join(", "),
    `${definition.disk.sizeGiB}`,
    definition.bootCheck.firmware.join(", "),
  ]);
  return table([
    ["NAME", "RELEASE", "ARCHITECTURE", "VARIANT", "TYPES", "GIB", "FIRMWARE"],
    ...rows,
  ]);
}

/** Everything that an image is, one field to a line, with where it was said. */
export function imageDetails({
  definition,
  types,
  places,
}: ExpandedImage): string {
  const rows = fieldsOf(definition).map(([field, value]) => [
    field,
    value,
    places.get(field) ?? derived.get(field) ?? ofAClass(field) ?? "default",
  ]);
  return table([
    ["FIELD", "VALUE", "WHERE FROM"],
    ...rows,
    ["types", types.join(", "), places.get("variant") ?? ""],
  ]);
}

/** Fields that no file says, and what they follow from. */
const derived: ReadonlyMap<string, string> = new Map([
  ["name", "release.version, variant and architecture"],
  ["layers", "classes that variants share, by what they extend"],
  ["bootCheck.report", "the release's systemd and the variant's cloudInit"],
]);

/** The first and the last class stand in no file. */
function ofAClass(field: string): string | undefined {
  return field.startsWith("classes[") ? "every image has it" : undefined;
}

/** Fields with their values: lists of plain values in one, except for classes, which each have a place. */
function fieldsOf(value: object, prefix = ""): [string, string][] {
  return Object.entries(value).flatMap(([name, part]: [string, unknown]) => {
    const field = `${prefix}${name}`;
    if (!Array.isArray(part)) {
      return part !== null && typeof part === "object"
        ? fieldsOf(part, `${field}.`)
        : [[field, String(part)]];
    }
    return name === "classes"
      ? part.map((each, index): [string, string] => [
          `${field}[${index}]`,
          String(each),
        ])
      : [[field, part.join(", ") || "none"]];
  });
}

/** Columns as wide as their widest cell; the last one ends where its text does. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
