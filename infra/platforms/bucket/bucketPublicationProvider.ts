/** What stands behind publications in a bucket. */

import { bucketIdentity, placeDifference } from "../../aws/bucketAddress.ts";
import { implementationFor } from "../tree/publicationProvider.ts";
import { examine, publish, withdraw } from "./publication.ts";

export const implementation = implementationFor({
  publish,
  examine,
  withdraw,
  rootDifference: (before, after) =>
    placeDifference("root", before, after, bucketIdentity),
});
