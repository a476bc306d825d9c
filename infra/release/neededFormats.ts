/** Which forms of an image a stack makes: those that something of it asks for, and no others. Pure. */

import type { Definition } from "../definitions/definition.ts";
import { UserError } from "../errors.ts";
import type { Place } from "../platforms/platform.ts";
import { type Format, formats } from "../store/records.ts";

/** What one place asks for. */
export type FormatNeed = Pick<Place, "formats" | "formatsField" | "takes">;

/** The union of what is needed, each format once, in the order of their list. */
export function neededFormats(
  needs: readonly Pick<FormatNeed, "formats">[],
): readonly Format[] {
  return formats.filter((format) =>
    needs.some((need) => need.formats.includes(format)),
  );
}

/**
 * The largest disks of formats that have not room for all that a definition may ask for. A VHD of fixed size ends at
 * 2040 GiB (Hyper-V's limit, and qemu-img's). Azure's disks of whole MiB and Google's of whole GiB are no limit: a
 * definition's disk has whole GiB.
 */
const largestDiskGiB: Readonly<Partial<Record<Format, number>>> = { vhd: 2040 };

/**
 * Makes sure that every image can have the formats that are asked for.
 *
 * @param needs of all places; several that have the same field ask with one voice
 * @throws {UserError} naming the field and the image, one line for each format that one cannot have.
 */
export function requirePossibleFormats(
  stack: string,
  needs: readonly FormatNeed[],
  definitions: readonly Definition[],
): void {
  const problems = needs.flatMap((need) =>
    need.formats.flatMap((format) =>
      tooLarge(format, definitions.filter(need.takes)).map(
        ({ name, disk }) =>
          `Pulumi.${stack}.yaml: ${need.formatsField} asks for ${format}, which ${name} cannot have: it holds disks of ${largestDiskGiB[format]} GiB at most, ` +
          `and disk.sizeGiB is ${disk.sizeGiB}. Take ${format} out of the list, the image out of cloud-images:definitions, ` +
          "or give it a smaller disk in image-definitions/.",
      ),
    ),
  );
  if (problems.length > 0) throw new UserError(problems.join("\n"));
}

function tooLarge(
  format: Format,
  definitions: readonly Definition[],
): readonly Definition[] {
  const limit = largestDiskGiB[format] ?? Number.POSITIVE_INFINITY;
  return definitions.filter(({ disk }) => disk.sizeGiB > limit);
}
