/** What `scripts/up` says at its end. */

import * as pulumi from "@pulumi/pulumi";
import type { Definition } from "../definitions/definition.ts";
import { bootCommand } from "../image/bootCommand.ts";
import type { Format } from "../store/records.ts";
import type { ImageVersion } from "./imageVersion.ts";

/** The newest version of one definition. */
export interface SummarisedImage {
  readonly definition: Definition;
  readonly image: ImageVersion;
}

/**
 * Where each image is and how to boot it.
 *
 * @param root the published directory, as the configuration has it
 */
export function summaryText(
  root: string,
  images: readonly SummarisedImage[],
): pulumi.Output<string> {
  const paragraphs = images.map(({ definition, image }) => {
    const { version, files, acceleration, failures } = image;
    const paragraph = pulumi
      .all([version, files, acceleration, failures])
      .apply(([version, files, acceleration, failures]) =>
        version === undefined || failures.length > 0
          ? failureParagraph(definition, failures)
          : imageParagraph(root, definition, {
              version,
              files,
              acceleration: acceleration ?? "tcg",
            }),
      );
    return pulumi.recover(
      paragraph,
      () => `${definition.name}: this version was not published.`,
    );
  });
  return pulumi
    .all(paragraphs)
    .apply((texts) =>
      [...texts, `Index page: ${root}/index.html`].join("\n\n"),
    );
}

/** One image that was allowed to fail, and did. */
export function failureParagraph(
  { name }: Pick<Definition, "name">,
  failures: readonly string[],
): string {
  return [
    `${name}: FAILED, which its definition allows (allowFailure). What was published of it before stays.`,
    ...failures.map((failure) => `  ${failure}`),
  ].join("\n");
}

/** What is known of an image once it is published; paths are relative to the root. */
export interface PublishedImage {
  readonly version: string;
  readonly files: readonly string[];
  readonly acceleration: "kvm" | "tcg";
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

/** One image, for people. */
export function imageParagraph(
  root: string,
  { name, architecture, bootCheck }: Definition,
  { version, files, acceleration }: PublishedImage,
): string {
  const file = (suffix: string) =>
    files
      .filter((path) => path.endsWith(`/${name}-${version}.${suffix}`))
      .map((path) => `${root}/${path}`);
  const line = (what: string, path: string) => `  ${what.padEnd(10)}${path}`;
  const images = Object.entries(labels).flatMap(([format, label]) =>
    file(format).map((path) => line(label, path)),
  );
  const boot = file("qcow2").flatMap((qcow2) => {
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
    `${name}, version ${version}`,
    ...images,
    ...file("json").map((path) => line("Manifest:", path)),
    ...boot,
  ].join("\n");
}
