/** What is declared only of images that came to a good end, where they are allowed not to. */

import * as pulumi from "@pulumi/pulumi";
import type { PublishableImage } from "./platform.ts";

/** Declares something of an image at once, or, of one that may fail, when it has not. */
export function whenGood<T>(
  { definition, record, failures }: PublishableImage,
  declare: () => pulumi.Output<T>,
): pulumi.Output<T | undefined> {
  // What is published stays while nothing better can be had; a preview shows what a good end would bring.
  const mayFail =
    definition.allowFailure &&
    record === undefined &&
    !pulumi.runtime.isDryRun();
  if (!mayFail) return declare();
  return failures.apply((failures) =>
    failures.length === 0 ? declare() : undefined,
  ) as pulumi.Output<T | undefined>;
}

/** Of the file that a place of one format, or of none but the raw image, gets; none of an image that failed. */
export function provenSha256({
  files: [file],
  rawSha256,
  failures,
}: PublishableImage): pulumi.Output<string | undefined> {
  return pulumi
    .all([file?.sha256 ?? rawSha256, failures])
    .apply(([sha256, failures]) =>
      failures.length === 0 ? sha256 : undefined,
    );
}
