/** The directory as a place of a stack. */

import type { Place } from "../platform.ts";
import type { DirectoryConfig } from "./directoryConfig.ts";
import { DirectoryPublication } from "./directoryPublication.ts";
import { publicationLines } from "./publicationLines.ts";

/** The published tree, which takes every image. */
export function directoryPlace({ path, formats }: DirectoryConfig): Place {
  return {
    platform: "directory",
    formats,
    formatsField: "cloud-images:directory.formats",
    ending: `Index page: ${path}/index.html`,
    takes: () => true,
    publish({
      stack,
      store,
      key,
      label,
      definition,
      channel,
      version,
      rawSha256,
      failures,
      checks,
      files,
      parent,
    }) {
      const publication = new DirectoryPublication(
        `${label}-directory`,
        {
          ...{ stack, store, root: path, key, version },
          release: definition.release.codename,
          channel,
          definition: definition.name,
          formats,
          firmware: [...definition.bootCheck.firmware],
          rawSha256,
          failures: failures.apply((list) => [...list]),
        },
        { parent, dependsOn: [...files, ...checks] },
      );
      const lines = publication.acceleration.apply((acceleration) =>
        publication.files.apply((files) =>
          version.apply((version) =>
            version === undefined
              ? []
              : publicationLines(path, definition, {
                  ...{ version, files },
                  acceleration: acceleration ?? "tcg",
                }),
          ),
        ),
      );
      return { end: publication.files, lines };
    },
  };
}
