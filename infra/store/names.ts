/** Names that meet a path: of documents, locks and published files. Pure. */

import { StoreError } from "../errors.ts";

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
