/** A place in a container of blobs, and how it is reached. Pure. */

import type { z } from "zod";
import { PlaceAddresses, prefixSchema } from "../store/placeAddress.ts";
import { blobAccessSchema } from "./access.ts";

/** Which container of which storage account, where in it, and how it is reached. */
export const blobPlaceSchema = blobAccessSchema.extend({
  prefix: prefixSchema,
});
export type BlobPlace = Readonly<z.output<typeof blobPlaceSchema>>;

/** `az://account/container/prefix?tenant=…` */
export const blobAddresses = new PlaceAddresses<BlobPlace>(
  "az://",
  ["account", "container"],
  blobPlaceSchema,
);
