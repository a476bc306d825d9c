/**
 * What a store needs of a bucket of objects, or of what a service calls so. Each cloud has one implementation. Every failure
 * is a StoreError.
 */

/** What a service says of an object without sending it. */
export interface ObjectHead {
  /** Another one after each writing: an ETag, or a generation. */
  readonly etag: string;
  readonly sizeBytes: number;
  /** Texts that were given to it at upload, by lower-case names. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What the service knows of the bytes since it took them: see {@link Bucket.checksumOf}. */
  readonly checksum: string | undefined;
}

/** An object and its bytes, which come as they are read. */
export interface OpenObject {
  readonly etag: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** What goes with an object's bytes. */
export interface ObjectHeaders {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly cacheControl?: string;
}

/** When an object is written: only where there is none, or only in place of the one of that ETag. */
export type WriteCondition = "absent" | { readonly etag: string };

export interface Bucket {
  /** An object as people write it. */
  addressOf(key: string): string;

  /** What the service says of an object, or `undefined` where there is none. */
  head(key: string): Promise<ObjectHead | undefined>;

  /** Begins to read an object, or `undefined` where there is none. A connection that is cut is made again. */
  open(key: string): Promise<OpenObject | undefined>;

  /** All of a small object, or `undefined` where there is none. */
  read(
    key: string,
  ): Promise<{ readonly etag: string; readonly bytes: Uint8Array } | undefined>;

  /**
   * Writes a small object in one step.
   *
   * @returns its ETag, or `undefined` when the condition does not hold
   */
  write(
    key: string,
    bytes: string | Uint8Array,
    headers?: ObjectHeaders,
    condition?: WriteCondition,
  ): Promise<string | undefined>;

  /**
   * The checksum that the service keeps of a file that {@link upload} sends.
   *
   * @throws the operating system's error when it cannot be read.
   */
  checksumOf(path: string): Promise<string>;

  /**
   * Sends a file, in parts when it is large, each with a checksum that the service compares with what arrived. The object is
   * there in whole or not at all. What the service says of it afterwards is compared once more.
   *
   * @param checksum of the file, by {@link checksumOf}
   * @returns whether the condition held
   * @throws {StoreError} also when the service has other bytes than were sent.
   */
  upload(
    key: string,
    path: string,
    checksum: string,
    headers?: ObjectHeaders,
    condition?: WriteCondition,
  ): Promise<boolean>;

  /**
   * Removes an object; one that is not there is no error.
   *
   * @param etag only while it is that one: whether another is there then is not said
   */
  remove(key: string, etag?: string): Promise<void>;

  /** Keys of all objects that begin so. */
  list(prefix: string): Promise<string[]>;

  /** Ends uploads of an object that were not brought to an end, where the service keeps what they left until it is told. */
  abortUploads(key: string): Promise<void>;
}
