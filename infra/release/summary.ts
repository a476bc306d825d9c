/** What `scripts/up` says at its end. */

import * as pulumi from "@pulumi/pulumi";
import type { Definition } from "../definitions/definition.ts";
import { bootCommand } from "../image/bootCommand.ts";
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
    const { version, files, acceleration } = image;
    const paragraph = pulumi
      .all([version, files, acceleration])
      .apply(([version, files, acceleration]) =>
        imageParagraph(root, definition, { version, files, acceleration }),
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

/** What is known of an image once it is published; paths are relative to the root. */
export interface PublishedImage {
  readonly version: string;
  readonly files: readonly string[];
  readonly acceleration: "kvm" | "tcg";
}

/** One image, for people. */
export function imageParagraph(
  root: string,
  { name, architecture, bootCheck }: Definition,
  { version, files, acceleration }: PublishedImage,
): string {
  const file = (suffix: string) =>
    `${root}/${files.find((path) => path.endsWith(`-${version}.${suffix}`))}`;
  const qcow2 = file("qcow2");
  const boot = bootCommand({
    qcow2,
    architecture,
    memoryMiB: bootCheck.memoryMiB,
    acceleration,
    firmware: bootCheck.firmware.includes("bios")
      ? "bios"
      : (bootCheck.firmware[0] ?? "uefi"),
  });
  return [
    `${name}, version ${version}`,
    `  Image:    ${qcow2}`,
    `  Raw disk: ${file("tar.zst")}`,
    `  Manifest: ${file("json")}`,
    `  Boot it:  ${boot.join(" ")}`,
    "            Ctrl-A X ends it; the file is not written to.",
  ].join("\n");
}
