/** Names that meet a path: of artifacts, documents, locks and published files. Pure. */

import { StoreError } from "../errors.ts";
import type { DocumentName, Sha256 } from "./store.ts";

/** What a store calls its own parts: no document's name begins with one of them. */
export const ownNames = ["artifacts", "incoming", "locks"];

const sha256Pattern = /^[0-9a-f]{64}$/;

/**
 * One step of a name. It begins with a letter, a digit or `_`, so that no step is hidden, `.` or `..`;
 * the rest is what file systems and object stores take without quoting. 200 characters leave room
 * below the 255 of Linux for a suffix.
 */
const stepPattern = /^[A-Za-z0-9_][A-Za-z0-9_.~+-]{0,199}$/;

/** Whether a slash-separated name is safe to use as a relative path. */
export function isSafeName(name: string): boolean {
  return name.split("/").every((step) => stepPattern.test(step));
}

/**
 * The name itself.
 * @param what the kind of name, for the message.
 * @throws {StoreError} when it is not safe to use as a relative path.
 */
export function checkedName(what: string, name: string): string {
  if (isSafeName(name)) return name;
  throw new StoreError(
    `${JSON.stringify(name)} cannot be the name of a ${what}: each step between slashes must begin with a letter, a digit or "_", go on with those or ". ~ + -", and have at most 200 characters. Rename it.`,
  );
}

/**
 * The name itself.
 * @throws {StoreError} when it is no safe name, or one of the store's own.
 */
export function checkedDocumentName(name: DocumentName): DocumentName {
  const [first = ""] = checkedName("document", name).split("/");
  if (!ownNames.includes(first)) return name;
  throw new StoreError(
    `The document ${name} cannot be in "${first}", which the store uses for itself. Choose another name.`,
  );
}

/**
 * The sha256 itself.
 * @throws {StoreError} when it is none, and so cannot name an artifact.
 */
export function checkedSha256(sha256: Sha256): Sha256 {
  if (sha256Pattern.test(sha256)) return sha256;
  throw new StoreError(
    `${JSON.stringify(sha256)} cannot name an artifact: a sha256 has 64 lower-case hex digits. Correct the record that it comes from.`,
  );
}

/**
 * A lock's name in one step.
 * @throws {StoreError} when it is no safe name.
 */
export function lockFileName(name: string): string {
  return checkedName("lock", name).replaceAll("/", "~");
}
