/**
 * A store kept in a directory.
 *
 *     artifacts/<sha256>        files, read-only
 *     incoming/<owner>-<random> what is being made; the owner's process is part of the name
 *     locks/<name>.lock         directories, kept fresh by their holder (proper-lockfile)
 *     <document name>           documents, each a file
 *
 * Nothing is ever written in place: files are made in `incoming`, synced and renamed. A directory that
 * becomes empty is removed, the store's own included, so that nothing stays when everything is gone.
 */

import {
  chmod,
  lstat,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { StoreError } from "../errors.ts";
import { sha256OfFile } from "./digest.ts";
import {
  moveIntoPlace,
  removeEmptyDirectories,
  removeIfEmpty,
  unlessMissing,
  withPrivateDirectory,
} from "./directories.ts";
import { holdLock } from "./directoryLock.ts";
import { errorCode, fileFailure } from "./fileFailure.ts";
import {
  checkedDocumentName,
  checkedSha256,
  isSafeName,
  lockFileName,
  ownNames,
} from "./names.ts";
import type {
  Artifact,
  ArtifactState,
  DocumentName,
  Sha256,
  Store,
} from "./store.ts";

/** Artifacts never change: nobody may write to them. */
const artifactMode = 0o444;

export class DirectoryStore implements Store {
  readonly location: string;

  /** @param root made when first written to, and removed when nothing is left in it. */
  constructor(root: string) {
    this.location = resolve(root);
  }

  async withIncoming<T>(use: (directory: string) => Promise<T>): Promise<T> {
    const incoming = join(this.location, "incoming");
    let entered = false;
    try {
      return await withPrivateDirectory(incoming, "", (directory) => {
        entered = true;
        return use(directory);
      });
    } catch (error) {
      throw entered ? error : fileFailure("write to", incoming, error);
    } finally {
      await this.#removeEmpty();
    }
  }

  async adopt(path: string): Promise<Artifact> {
    try {
      return await this.#adopt(path);
    } catch (error) {
      if (errorCode(error) !== "EXDEV") {
        throw fileFailure("move into the store", path, error);
      }
      throw new StoreError(
        `${path} is on another file system than the store ${this.location}. Make it in the directory that withIncoming hands out.`,
        { cause: error },
      );
    }
  }

  async #adopt(path: string): Promise<Artifact> {
    if (!(await lstat(path)).isFile()) {
      throw new StoreError(
        `${path} is not a regular file, and the store takes no other. Adopt the file itself.`,
      );
    }
    await chmod(path, artifactMode);
    const artifact = await sha256OfFile(path);
    // One that is sound is kept; one that was altered is healed by the bytes at hand.
    if ((await this.examine(artifact.sha256)) === "sound") await rm(path);
    else await moveIntoPlace(path, this.#artifactPath(artifact.sha256));
    return artifact;
  }

  async file(sha256: Sha256): Promise<string> {
    const path = this.#artifactPath(sha256);
    const found = await unlessMissing(stat(path)).catch((error) => {
      throw fileFailure("find", path, error);
    });
    if (found?.isFile()) return path;
    throw new StoreError(
      `The store has no artifact ${sha256}: ${path} is missing. Refresh the stack and run \`pulumi up\`, which builds what is missing.`,
    );
  }

  async examine(sha256: Sha256): Promise<ArtifactState> {
    const path = this.#artifactPath(sha256);
    try {
      const actual = await unlessMissing(sha256OfFile(path));
      if (actual === undefined) return "missing";
      return actual.sha256 === sha256 ? "sound" : "altered";
    } catch (error) {
      throw fileFailure("read", path, error);
    }
  }

  async discard(sha256: Sha256): Promise<void> {
    const path = this.#artifactPath(sha256);
    await rm(path, { force: true }).catch((error) => {
      throw fileFailure("remove", path, error);
    });
    await this.#removeEmpty();
  }

  async list(prefix: DocumentName): Promise<readonly DocumentName[]> {
    const name = prefix.replace(/\/$/, "");
    const directory = name === "" ? this.location : this.#documentPath(name);
    try {
      return (await documentsBelow(directory, name)).sort();
    } catch (error) {
      throw fileFailure("list the documents in", directory, error);
    }
  }

  async read(name: DocumentName): Promise<string | undefined> {
    const bytes = await this.readBytes(name);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString();
  }

  async readBytes(name: DocumentName): Promise<Uint8Array | undefined> {
    const path = this.#documentPath(name);
    try {
      return await unlessMissing(readFile(path));
    } catch (error) {
      throw fileFailure("read", path, error);
    }
  }

  async write(name: DocumentName, text: string | Uint8Array): Promise<void> {
    const path = this.#documentPath(name);
    try {
      await this.withIncoming(async (directory) => {
        const draft = join(directory, "document");
        await writeFile(draft, text);
        await moveIntoPlace(draft, path);
      });
    } catch (error) {
      throw fileFailure("write", path, error);
    }
  }

  async remove(name: DocumentName): Promise<void> {
    const path = this.#documentPath(name);
    await rm(path, { force: true }).catch((error) => {
      throw fileFailure("remove", path, error);
    });
    await removeEmptyDirectories(dirname(path), this.location);
    await this.#removeEmpty();
  }

  async withLock<T>(
    name: string,
    patienceSeconds: number,
    use: () => Promise<T>,
  ): Promise<T> {
    const path = join(this.location, "locks", `${lockFileName(name)}.lock`);
    try {
      return await holdLock(name, path, patienceSeconds, use);
    } finally {
      await this.#removeEmpty();
    }
  }

  #artifactPath(sha256: Sha256): string {
    return join(this.location, "artifacts", checkedSha256(sha256));
  }

  #documentPath(name: DocumentName): string {
    return join(this.location, checkedDocumentName(name));
  }

  /** Removes those of the store's own directories that are empty, and the root when nothing is in it. */
  async #removeEmpty(): Promise<void> {
    for (const name of ownNames) {
      await removeIfEmpty(join(this.location, name));
    }
    await removeIfEmpty(this.location);
  }
}

/** Names of the documents in a directory and below it; a missing one has none. */
async function documentsBelow(
  directory: string,
  prefix: string,
): Promise<DocumentName[]> {
  const names = (await unlessMissing(readdir(directory))) ?? [];
  const found = await Promise.all(
    names
      .filter((name) => isSafeName(name))
      .filter((name) => prefix !== "" || !ownNames.includes(name))
      .map((name) => documentsAt(join(directory, name), join(prefix, name))),
  );
  return found.flat();
}

async function documentsAt(
  path: string,
  name: DocumentName,
): Promise<DocumentName[]> {
  const status = await unlessMissing(stat(path));
  if (status?.isDirectory()) return documentsBelow(path, name);
  return status?.isFile() ? [name] : [];
}
