/** What stands behind publications in a bucket. */

import { s3Addresses } from "../../aws/bucketAddress.ts";
import { placeDifference } from "../../store/placeAddress.ts";
import { implementationFor } from "../tree/publicationProvider.ts";
import { examine, publish, withdraw } from "./publication.ts";

export const implementation = implementationFor({
  publish,
  examine,
  withdraw,
  rootDifference: (before, after) =>
    placeDifference("root", before, after, (root) =>
      s3Addresses.identityOf(root),
    ),
});
