/** Publications in a directory: those of a tree, and what the operating system refuses as a sentence. */

import { createHash } from "node:crypto";
import { projectPath } from "../../projectPaths.ts";
import { errorCode, fileFailure } from "../../store/fileFailure.ts";
import { openStore } from "../../store/openStore.ts";
import {
  examine as examineIn,
  type PublicationInputs,
  type Published,
  publish as publishIn,
  refreshIndex as refreshIndexOf,
  type TreeAddress,
  type TreePlace,
  withdraw as withdrawFrom,
} from "../tree/publication.ts";
import { DirectoryTree } from "./directoryTree.ts";

/** What the resource is given: its root is the directory, and a relative one counts from the repository's root. */
export type DirectoryPublicationInputs = PublicationInputs;

/** See {@link publishIn}. */
export function publish(
  inputs: DirectoryPublicationInputs,
): Promise<Published> {
  return explained("publish to", inputs, publishIn);
}

/** See {@link examineIn}. Reads every byte. */
export function examine(inputs: DirectoryPublicationInputs): Promise<string[]> {
  return explained("examine", inputs, examineIn);
}

/** See {@link withdrawFrom}. */
export function withdraw(inputs: DirectoryPublicationInputs): Promise<void> {
  return explained("withdraw from", inputs, withdrawFrom);
}

/** See {@link refreshIndexOf}. */
export function refreshIndex(tree: TreeAddress): Promise<void> {
  return explained("write the index of", tree, refreshIndexOf);
}

async function explained<T, Inputs extends TreeAddress>(
  attempt: string,
  inputs: Inputs,
  use: (place: TreePlace, inputs: Inputs) => Promise<T>,
): Promise<T> {
  const root = projectPath(inputs.root);
  try {
    return await use(placeAt(root, inputs), inputs);
  } catch (error) {
    throw errorCode(error) === undefined
      ? error
      : fileFailure(attempt, root, error);
  }
}

function placeAt(root: string, { store }: TreeAddress): TreePlace {
  const digest = createHash("sha256").update(root).digest("hex");
  return {
    platform: "directory",
    tree: new DirectoryTree(root),
    store: openStore(store),
    lock: `directory-${digest.slice(0, 12)}`,
    isRoot: (other) => projectPath(String(other)) === root,
  };
}
