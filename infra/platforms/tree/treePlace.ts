/** A published tree as a place of a stack. */

import * as pulumi from "@pulumi/pulumi";
import type { Format } from "../../store/records.ts";
import type { Place } from "../platform.ts";
import { publicationLines } from "./publicationLines.ts";
import { TreePublication } from "./treePublication.ts";

/** What trees of different platforms differ in. */
export interface TreeSettings {
  /** The platform's folder. */
  readonly platform: string;
  /** Where the tree is, as the resources are given it. */
  readonly root: string;
  /** The same for people, with which paths of files begin. */
  readonly shownRoot: string;
  /** Whether the files are on this machine. */
  readonly isHere: boolean;
  readonly formats: readonly Format[];
  /** The module of the resource, below `infra/`, and the last part of its type token. */
  readonly resource: readonly [module: string, type: string];
  /** See {@link refreshIndex}. */
  readonly refreshIndex: (tree: {
    readonly root: string;
    readonly store: string;
  }) => Promise<void>;
}

/** A published tree, which takes every image. */
export function treePlace({
  platform,
  root,
  shownRoot,
  isHere,
  formats,
  resource,
  refreshIndex,
}: TreeSettings): Place {
  return {
    platform,
    formats,
    formatsField: `cloud-images:${platform}.formats`,
    ending: `Index page: ${shownRoot}/index.html`,
    takes: () => true,
    conclude: (store) => refreshIndex({ root, store }),
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
      const publication = new TreePublication(
        ...resource,
        `${label}-${platform}`,
        {
          ...{ stack, store, root, key, version },
          release: definition.release.codename,
          channel,
          definition: definition.name,
          formats: [...formats],
          firmware: [...definition.bootCheck.firmware],
          rawSha256,
          failures: failures.apply((list) => [...list]),
        },
        { parent, dependsOn: [...files, ...checks] },
      );
      const lines = pulumi
        .all([publication.acceleration, publication.files, version])
        .apply(([acceleration, files, version]) =>
          version === undefined
            ? []
            : publicationLines(shownRoot, definition, {
                ...{ version, files },
                acceleration: isHere ? (acceleration ?? "tcg") : undefined,
              }),
        );
      return { end: publication.files, lines };
    },
  };
}
