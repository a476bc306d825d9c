/** Turns what the operating system says about a file into a sentence for the user. */

import { StoreError } from "../errors.ts";

const fullCodes = ["ENOSPC", "EDQUOT"];
const forbiddenCodes = ["EACCES", "EPERM", "EROFS"];

/** The code of an error of the operating system (`ENOENT`), or `undefined` for any other error. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/**
 * A StoreError that says what could not be done with which file, why, and what to do. One that is a
 * StoreError already is handed back as it is.
 * @param attempt what was tried, as in `write`.
 */
export function fileFailure(
  attempt: string,
  path: string,
  error: unknown,
): StoreError {
  if (error instanceof StoreError) return error;
  return new StoreError(failureSentence(attempt, path, error), {
    cause: error,
  });
}

function failureSentence(
  attempt: string,
  path: string,
  error: unknown,
): string {
  const code = errorCode(error) ?? "";
  if (fullCodes.includes(code)) {
    return `The file system that holds ${path} is full, so it was not possible to ${attempt} it. Nothing half-written was left behind: free some space (\`df -h ${path}\` shows how much there is) and run again.`;
  }
  if (forbiddenCodes.includes(code)) {
    return `This user is not allowed to ${attempt} ${path} (${code}). Change its owner or mode, or configure a directory that this user may write to.`;
  }
  const reason = error instanceof Error ? error.message : String(error);
  return `It was not possible to ${attempt} ${path}: ${reason}. Put that right and run again.`;
}
