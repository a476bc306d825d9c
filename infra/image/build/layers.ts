/** What an image is built on, layer by layer, and how each layer is named. Pure. */

import { createHash } from "node:crypto";
import { type ConfigSpace, classOf } from "../../definitions/configSpace.ts";
import type { Definition } from "../../definitions/definition.ts";
import type { ArchiveState } from "../archive.ts";

/** The root file system with the packages of an image's first classes. Images with these classes share it. */
export interface Layer {
  /** Says all that decides the layer's content; safe as a file name. */
  readonly name: string;
  /** Classes whose packages it holds, those of the layers below included; none in the lowest. */
  readonly classes: readonly string[];
}

/** Where a layer's classes can have files that decide its content: what layerInstall.sh reads. */
const placesOfLayers = [
  "class/",
  "debconf/",
  "files/etc/apt/",
  "hooks/layer.",
  "package_config/",
];

/**
 * The layers of an image, the lowest first: a minimal Debian, and one for each number in the definition's `layers`.
 *
 * @param configSpace all files of it
 * @param builder digest over the builder's sources
 */
export function layersOf(
  definition: Pick<
    Definition,
    "architecture" | "classes" | "layers" | "release"
  >,
  archive: ArchiveState,
  configSpace: ConfigSpace,
  builder: string,
): readonly Layer[] {
  const { architecture, release } = definition;
  const { mirror, suites } = archive;
  const counts = [0, ...definition.layers];
  let content: unknown = [
    architecture,
    release.suites,
    mirror,
    suites,
    builder,
  ];
  return counts.map((count) => {
    const classes = definition.classes.slice(0, count);
    const files = configSpace.filter(({ path }) => belongsTo(path, classes));
    content = [content, classes, files];
    const digest = createHash("sha256")
      .update(JSON.stringify(content))
      .digest("hex");
    const last = classes.at(-1)?.toLowerCase() ?? "minimal";
    return {
      name: `${release.codename}-${architecture}-${last}-${digest.slice(0, 16)}`,
      classes,
    };
  });
}

function belongsTo(path: string, classes: readonly string[]): boolean {
  const owner = classOf(path);
  return (
    owner !== undefined &&
    classes.includes(owner) &&
    placesOfLayers.some((place) => path.startsWith(place))
  );
}
