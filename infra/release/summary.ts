/** What `scripts/up` says at its end. */

import * as pulumi from "@pulumi/pulumi";
import type { Definition } from "../definitions/definition.ts";
import { placeName } from "../platforms/platform.ts";
import type { ImageVersion } from "./imageVersion.ts";

/** The newest version of one definition. */
export interface SummarisedImage {
  readonly definition: Definition;
  readonly image: Pick<ImageVersion, "version" | "failures" | "published">;
}

/**
 * Where each image is, in the words of its places.
 *
 * @param endings what is said once, below all images
 */
export function summaryText(
  images: readonly SummarisedImage[],
  endings: readonly string[],
): pulumi.Output<string> {
  return pulumi
    .all(images.map(paragraphOf))
    .apply((texts) => [...texts, ...endings].join("\n\n"));
}

function paragraphOf({
  definition: { name },
  image: { version, failures, published },
}: SummarisedImage): pulumi.Output<string> {
  const parts = published.map(({ place, publication }) =>
    pulumi.recover(publication.lines, () => [
      `  Not published to ${placeName(place)}.`,
    ]),
  );
  const paragraph = pulumi
    .all([version, failures, pulumi.all(parts)])
    .apply(([version, failures, parts]) =>
      version === undefined || failures.length > 0
        ? failureParagraph({ name }, failures)
        : [`${name}, version ${version}`, ...parts.flat()].join("\n"),
    );
  return pulumi.recover(
    paragraph,
    () => `${name}: this version was not published.`,
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
