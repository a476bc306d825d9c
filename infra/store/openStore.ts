import { projectPath } from "../projectPaths.ts";
import { DirectoryStore } from "./directoryStore.ts";
import type { Store } from "./store.ts";

/** The store at a path of the stack's configuration; a relative one counts from the repository's root. */
export function openStore(path: string): Store {
  return new DirectoryStore(projectPath(path));
}
