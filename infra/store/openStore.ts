import { projectPath } from "../projectPaths.ts";
import { DirectoryStore } from "./directoryStore.ts";
import type { Store } from "./store.ts";
import type { StoreConfig } from "./storeConfig.ts";

/** The store that a stack's configuration describes, as one text: what resources are given, and {@link openStore} takes. */
export function storeAddress({ directory }: StoreConfig): string {
  return directory;
}

/** The store at an address: a directory, of which a relative one counts from the repository's root. */
export function openStore(address: string): Store {
  return new DirectoryStore(projectPath(address));
}
