/** Which images a change reaches, and why: by comparing keys, never paths. Pure. */

import type { Definition } from "../definitions/definition.ts";
import { keyChanges } from "../definitions/key.ts";
import { table } from "../definitions/listing.ts";
import type { SourceImage } from "./stackSources.ts";

/** An image that a change reaches. */
export interface ReachedImage {
  readonly definition: Definition;
  /** A sentence for each input that differs. */
  readonly changes: readonly string[];
}

/** What a change comes to. */
export interface Reach {
  /** In the order of their names. */
  readonly images: readonly ReachedImage[];
  /** Names of images that the stack does not have any more. */
  readonly gone: readonly string[];
}

/** What is said where another key comes with the same inputs. */
const otherKeys = "What a key covers has changed (infra/definitions/key.ts).";

/**
 * Compares a stack's images before and after a change.
 *
 * @param before `undefined` where nothing is known of them
 * @param unknown why not, as a sentence
 */
export function reachOf(
  before: readonly SourceImage[] | undefined,
  after: readonly SourceImage[],
  unknown = "What it was made from before is not known.",
): Reach {
  if (before === undefined) {
    return { images: all(after, unknown), gone: [] };
  }
  const known = new Map(
    before.map((image) => [image.parts.definition.name, image]),
  );
  const images = after.flatMap(({ key, parts }): ReachedImage[] => {
    const { definition } = parts;
    const own = known.get(definition.name);
    known.delete(definition.name);
    if (own === undefined) {
      return [{ definition, changes: ["The stack did not have it before."] }];
    }
    if (own.key === key) return [];
    const changes = keyChanges(own.parts, parts);
    return [
      { definition, changes: changes.length > 0 ? changes : [otherKeys] },
    ];
  });
  return { images: sorted(images), gone: [...known.keys()].sort() };
}

/** All images of a stack, each for the same reason. */
export function all(
  images: readonly SourceImage[],
  reason: string,
): readonly ReachedImage[] {
  return sorted(
    images.map(({ parts: { definition } }) => ({
      definition,
      changes: [reason],
    })),
  );
}

function sorted(images: readonly ReachedImage[]): readonly ReachedImage[] {
  return images.toSorted((one, other) =>
    one.definition.name < other.definition.name ? -1 : 1,
  );
}

/** Each change with the images that it reaches, the one that reaches most first. */
export function changesOf({
  images,
}: Reach): readonly (readonly [string, readonly ReachedImage[]])[] {
  const changes = new Map<string, ReachedImage[]>();
  for (const image of images) {
    for (const change of image.changes) {
      changes.set(change, [...(changes.get(change) ?? []), image]);
    }
  }
  return [...changes].toSorted(
    ([, one], [, other]) => other.length - one.length,
  );
}

/** What a change comes to, for people. */
export function reachText(reach: Reach): string {
  const { images, gone } = reach;
  if (images.length === 0 && gone.length === 0) {
    return "The change reaches no image: nothing has to be built.";
  }
  const rows = images.map(({ definition, changes }) => {
    const [first = "", ...more] = changes;
    const rest = more.length === 0 ? "" : ` And ${more.length} more.`;
    return [definition.name, definition.architecture, first + rest];
  });
  const shared = changesOf(reach)
    .filter(([, reached]) => reached.length > 1)
    .map(
      ([change, reached]) =>
        `${change} Reaches ${reached.length} images: ${reached.map(({ definition }) => definition.name).join(", ")}.`,
    );
  return [
    ...(images.length === 0
      ? []
      : [table([["IMAGE", "ARCHITECTURE", "WHY"], ...rows])]),
    ...shared,
    ...gone.map((name) => `${name} is not built any more.`),
  ].join("\n\n");
}
