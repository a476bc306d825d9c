/** What is said of files at the end of a run: where they are, and how to boot one. Pure. */

import type { Definition } from "../../definitions/definition.ts";
import { bootCommand } from "../../image/bootCommand.ts";
import type { Format } from "../../store/records.ts";

/** What is known of an image once it is published; paths are relative to the root. */
export interface PublishedImage {
  readonly version: string;
  readonly files: readonly string[];
  /** How it boots here; none where the files are not on this machine. */
  readonly acceleration: "kvm" | "tcg" | undefined;
}

/** What files are called, in the order in which they are shown. */
const labels: Readonly<Record<Format, string>> = {
  qcow2: "Image:",
  "tar.zst": "Raw disk:",
  "tar.xz": "Raw disk:",
  "tar.gz": "For GCE:",
  vmdk: "VMDK:",
  vhd: "VHD:",
  "root.tar.zst": "Files:",
  "oci.tar": "OCI:",
};

/**
 * One image's files, a line each.
 *
 * @param root the published tree, as people write it
 */
export function publicationLines(
  root: string,
  { name, architecture, bootCheck }: Definition,
  { version, files, acceleration }: PublishedImage,
): readonly string[] {
  const file = (suffix: string) =>
    files
      .filter((path) => path.endsWith(`/${name}-${version}.${suffix}`))
      .map((path) => `${root}/${path}`);
  const line = (what: string, path: string) => `  ${what.padEnd(10)}${path}`;
  const images = Object.entries(labels).flatMap(([format, label]) =>
    file(format).map((path) => line(label, path)),
  );
  const boot = file("qcow2").flatMap((qcow2) => {
    if (acceleration === undefined) return [];
    const command = bootCommand({
      qcow2,
      architecture,
      memoryMiB: bootCheck.memoryMiB,
      acceleration,
      firmware: bootCheck.firmware.includes("bios")
        ? "bios"
        : (bootCheck.firmware[0] ?? "uefi"),
    });
    return [
      line("Boot it:", command.join(" ")),
      line("", "Ctrl-A X ends it; the file is not written to."),
    ];
  });
  return [
    ...images,
    ...file("json").map((path) => line("Manifest:", path)),
    ...boot,
  ];
}
