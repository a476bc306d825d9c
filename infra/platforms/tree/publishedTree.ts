/** What a published file tree is kept in, as far as publishing has to know. Two exist: a directory and a bucket. */

import type { FileDigests } from "../../store/digest.ts";
import type { LatestDirectory } from "./catalogue.ts";

/** Whether something is what it should be. */
export type ViewState = "sound" | "missing" | "altered";

/** All paths are relative to the tree's root. */
export interface PublishedTree {
  /** What of `latest` opens where a page has a link to it; nothing where it can be listed. */
  readonly latestIndex: string;

  /** A path as people write it. */
  addressOf(path: string): string;

  /** What a file's bytes add up to, or `undefined` where there is none. What is no file has digests of nothing. */
  digests(path: string): Promise<FileDigests | undefined>;

  /**
   * Runs `use` with a private directory of this machine for files that are to be put below `directory`. It is removed
   * afterwards, whatever happened; one that a killed process left behind is removed by the next call.
   */
  withDrafts<T>(
    directory: string,
    use: (drafts: string) => Promise<T>,
  ): Promise<T>;

  /**
   * A file of this machine with the bytes of another one, which {@link put} may have: that one itself where it is only
   * read, or else a copy.
   *
   * @param draft a new path in a directory for drafts
   */
  draftOf(path: string, draft: string): Promise<string>;

  /**
   * Puts a draft in its place, in one step. What is there was looked at by {@link digests}, and is replaced.
   * @throws {StoreError} when somebody else put something there since, where the tree can tell.
   */
  put(draft: string, path: string, digests: FileDigests): Promise<void>;

  /** A file's text, or `undefined` where there is none. */
  readText(path: string): Promise<string | undefined>;

  /** Writes a text in one step. */
  writeText(path: string, text: string): Promise<void>;

  /** Whether somebody put a link to something else there. */
  isLink(path: string): Promise<boolean>;

  /** Removes a file and the directories that this leaves empty; one that is not there is no error. */
  remove(path: string): Promise<void>;

  /** Lets `latest` name a channel's newest images. @param channel the channel's directory */
  pointLatest(channel: string, latest: LatestDirectory): Promise<void>;

  /** Whether it does. */
  examineLatest(channel: string, latest: LatestDirectory): Promise<ViewState>;

  /** Whether there is no `latest`, or one that was made by {@link pointLatest}. */
  isLatestFreeOrOwn(channel: string): Promise<boolean>;

  /** Removes `latest` of a channel. */
  removeLatest(channel: string): Promise<void>;

  /** Removes what killed processes left in directories. */
  tidy(directories: readonly string[]): Promise<void>;
}
