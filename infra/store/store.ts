/**
 * What a store can do, whatever it is kept in. Artifacts are addressed by their sha256 and never
 * change; documents are small texts with a name. Two drivers exist: a directory, and a bucket of S3, Google or Azure.
 */

/** sha256 of a file's bytes, 64 lower-case hex digits. */
export type Sha256 = string & { readonly __brand: "Sha256" };

/** A file in the store. */
export interface Artifact {
  readonly sha256: Sha256;
  readonly sizeBytes: number;
}

/** Whether an artifact still is what its name says. */
export type ArtifactState = "sound" | "missing" | "altered";

/** A slash-separated name below the store's root, such as `builds/<key>/build.json`. */
export type DocumentName = string;

export interface Store {
  /** Where it is, for messages. */
  readonly location: string;

  /**
   * Runs `use` with a new private directory on the store's own file system, or that of its cache on this machine, so that
   * what is made there can be moved in without copying. The directory is removed afterwards, whatever happened; one that
   * a killed process left behind is removed by the next call.
   */
  withIncoming<T>(use: (directory: string) => Promise<T>): Promise<T>;

  /**
   * Moves a finished file in, under its own sha256, in one step; the path is gone afterwards.
   * A file that is there already is kept.
   */
  adopt(path: string): Promise<Artifact>;

  /**
   * A local, read-only path to an artifact's bytes.
   * @throws {StoreError} when it is missing.
   */
  file(sha256: Sha256): Promise<string>;

  /** Compares the artifact with its name. Each driver says what it reads for that. */
  examine(sha256: Sha256): Promise<ArtifactState>;

  /** Removes an artifact; one that is not there is no error. */
  discard(sha256: Sha256): Promise<void>;

  /** Names of all documents below a prefix, sorted. An empty store has none; an unreadable one throws. */
  list(prefix: DocumentName): Promise<readonly DocumentName[]>;

  /** A document's text, or `undefined` where there is none. */
  read(name: DocumentName): Promise<string | undefined>;

  /** A document that is no text, such as a screenshot, or `undefined` where there is none. */
  readBytes(name: DocumentName): Promise<Uint8Array | undefined>;

  /** Writes a document in one step: a reader sees the old text or the new one, never a part. */
  write(name: DocumentName, text: string | Uint8Array): Promise<void>;

  /** Removes a document and the directories that this leaves empty; one that is not there is no error. */
  remove(name: DocumentName): Promise<void>;

  /**
   * Runs `use` while nobody else holds the lock of that name, on this machine or another that shares
   * the store. A lock whose holder died is taken over.
   * @throws {StoreError} when it stays held for longer than `patienceSeconds`.
   */
  withLock<T>(
    name: string,
    patienceSeconds: number,
    use: () => Promise<T>,
  ): Promise<T>;
}
