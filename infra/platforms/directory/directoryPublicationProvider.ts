/** What stands behind publications in a directory. */

import { implementationFor } from "../tree/publicationProvider.ts";
import { examine, publish, withdraw } from "./publication.ts";

export const implementation = implementationFor({
  publish,
  examine,
  withdraw,
  rootDifference: (before, after) => ({
    replaces: before === after ? [] : ["root"],
    updates: [],
  }),
});
