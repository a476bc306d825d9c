/** What `scripts/up` says at its end. */

import * as pulumi from "@pulumi/pulumi";
import type { Definition } from "../definitions/definition.ts";

/** The newest version of one definition, as far as the summary needs it. */
export interface SummarisedImage {
  readonly definition: Definition;
  readonly image: {
    readonly version: pulumi.Input<string>;
    /** Relative to the published directory. */
    readonly files: pulumi.Input<readonly string[]>;
    readonly acceleration: pulumi.Input<"kvm" | "tcg">;
  };
}

/**
 * Where each image is and how to boot it.
 *
 * @param directory the published directory, as the configuration has it
 */
export function summaryText(
  directory: string,
  images: readonly SummarisedImage[],
): pulumi.Output<string> {
  const paragraphs = images.map(({ definition, image }) =>
    pulumi
      .all([image.version, image.files, image.acceleration])
      .apply(([version, files, acceleration]) =>
        imageParagraph(
          definition,
          version,
          files.map((file) => `${directory}/${file}`),
          acceleration,
        ),
      ),
  );
  return pulumi
    .all(paragraphs)
    .apply((texts) =>
      [...texts, `Index page: ${directory}/index.html`].join("\n\n"),
    );
}

function imageParagraph(
  { name, bootCheck }: Definition,
  version: string,
  files: readonly string[],
  acceleration: "kvm" | "tcg",
): string {
  const ending = (suffix: string) =>
    files.find((file) => file.endsWith(suffix)) ?? "";
  const image = ending(".qcow2");
  return [
    `${name}, version ${version}`,
    `  image     ${image}`,
    `            ${ending(".tar.zst")}`,
    `  manifest  ${files.find((file) => file.endsWith(`${version}.json`)) ?? ""}`,
    `  boot it   ${bootCommand(image, bootCheck.memoryMiB, acceleration)}`,
    "            (leave by Ctrl-A X; nothing is written to the image)",
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
