/** The directory as a place of a stack. */

import type { Place } from "../platform.ts";
import { treePlace } from "../tree/treePlace.ts";
import type { DirectoryConfig } from "./directoryConfig.ts";

/** The published tree in a directory. */
export function directoryPlace({ path, formats }: DirectoryConfig): Place {
  return treePlace({
    platform: "directory",
    root: path,
    shownRoot: path,
    isHere: true,
    formats,
    resource: [
      "platforms/directory/directoryPublicationProvider.ts",
      "DirectoryPublication",
    ],
    refreshIndex: async (tree) =>
      (await import("./publication.ts")).refreshIndex(tree),
  });
}
