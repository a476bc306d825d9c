/** What `scripts/up` says at its end. */

import * as pulumi from "@pulumi/pulumi";
import type { Definition } from "../definitions/definition.ts";
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
  { name, bootCheck }: Definition,
  { version, files, acceleration }: PublishedImage,
): string {
  const file = (suffix: string) =>
    `${root}/${files.find((path) => path.endsWith(`-${version}.${suffix}`))}`;
  const qcow2 = file("qcow2");
  return [
    `${name}, version ${version}`,
    `  Image:    ${qcow2}`,
    `  Raw disk: ${file("tar.zst")}`,
    `  Manifest: ${file("json")}`,
    `  Boot it:  ${bootCommand(qcow2, bootCheck.memoryMiB, acceleration)}`,
    "            Ctrl-A X ends it; the file is not written to.",
  ].join("\n");
}

/**
 * A command that boots an image on a terminal, and leaves the file as it is.
 *
 * @param acceleration what worked on the machine that checked the image
 */
export function bootCommand(
  path: string,
  memoryMiB: number,
  acceleration: "kvm" | "tcg",
): string {
  return [
    "qemu-system-x86_64",
    `-machine q35,accel=${acceleration}`,
    `-cpu ${acceleration === "kvm" ? "host" : "max"}`,
    `-smp 2 -m ${memoryMiB}`,
    `-drive file=${path},if=virtio,snapshot=on`,
    "-nic user,model=virtio-net-pci",
    "-nographic",
  ].join(" ");
}
