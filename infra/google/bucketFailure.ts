/** Turns what Cloud Storage, or the way to it, says into a sentence for the user. No credential is ever in it. Pure. */

import { isConnectionFailure } from "../connectionFailure.ts";
import { StoreError } from "../errors.ts";
import type { GoogleLogin } from "./access.ts";
import { failureKind, googleStatus, toldToPeople } from "./failures.ts";

/** Cloud Storage's own text: 404 says the same of objects and buckets. */
const noBucket = /bucket does not exist/i;

/** Cloud Storage computed another checksum than came with the bytes. */
const damaged = /doesn't match calculated/;

/** Where an error of the library has what the service said. */
interface LibraryError {
  readonly message?: string;
  readonly errors?: readonly unknown[];
}

/** Whether there is no such object, in a bucket that there is. */
export function isNoObject(error: unknown): boolean {
  return googleStatus(error) === 404 && !noBucket.test(saidBy(error));
}

/**
 * A StoreError that says what could not be done, why, and what to do. One that is a StoreError already is handed back as it
 * is. The library's own error is not kept as the cause: it may quote a request with its token.
 *
 * @param attempt what was tried, as in `read gs://images/x`
 */
export function bucketFailure(
  attempt: string,
  access: GoogleLogin & { readonly bucket: string },
  error: unknown,
): StoreError {
  if (error instanceof StoreError) return error;
  return new StoreError(
    `It was not possible to ${attempt}: ${reasonAndCure(access, error)}`,
  );
}

function reasonAndCure(
  {
    bucket,
    serviceAccount,
    endpoint,
  }: GoogleLogin & { readonly bucket: string },
  error: unknown,
): string {
  const status = googleStatus(error);
  const said = `${status === undefined ? "" : `${status}: `}${saidBy(error)}`;
  const whose = serviceAccount === undefined ? "" : ` of ${serviceAccount}`;
  if (status === 404 && noBucket.test(said)) {
    return `there is no bucket ${bucket}. Make it, or correct its name in the stack's configuration.`;
  }
  if (status === 400 && damaged.test(said)) {
    return `the bytes that arrived are not those that were sent (${said}). Nothing was kept of them. Run again; if it happens again, look at the memory of this machine and at a proxy on the way.`;
  }
  if (status === undefined && isConnectionFailure(error)) {
    return `${endpoint ?? "Cloud Storage"} cannot be reached (${said}). Look at the network or a proxy, and run again: what was done is kept.`;
  }
  switch (failureKind(error)) {
    case "expired":
      return `Cloud Storage does not know the credentials${whose}, or they have run out (${said}). Log in again, with gcloud auth application-default login, or give the pipeline a new token, and run again: what was done is kept.`;
    case "refused":
      return `the credentials${whose} may not do that, or there are none (${said}). Give them the role on the bucket ${bucket} that docs/stores.md names, or use others.`;
    case "quota":
    case "passing":
      return `Cloud Storage kept failing, or asked to slow down (${said}). Run again in a few minutes: what was done is kept.`;
    case "other":
      return `${said}. Put that right and run again.`;
  }
}

/** What is said for people: the service's own message, wherever the library has put it. */
function saidBy(error: unknown): string {
  const { message, errors } = (error ?? {}) as LibraryError;
  const texts = [...(Array.isArray(errors) ? errors : []), message].map(
    (each) => (typeof each === "string" ? each : JSON.stringify(each ?? "")),
  );
  const [, quoted] =
    /"message":\s*"((?:[^"\\]|\\.)*)"/.exec(texts.join("\n")) ?? [];
  const said = quoted === undefined ? message : JSON.parse(`"${quoted}"`);
  return toldToPeople(String(said ?? error)).replace(/\.$/, "");
}
