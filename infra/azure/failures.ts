/** What Azure's blobs, or the way to them, say when something is not done, sorted and put into sentences. Pure. */

import { isConnectionFailure } from "../connectionFailure.ts";
import { PublicationError, StoreError, UserError } from "../errors.ts";
import { type BlobAccess, containerUrl } from "./access.ts";

/** What is to be done about an error: ask again, fetch credentials anew, look at what is there, or tell the user. */
export type FailureKind =
  /** Throttling, a server's error, a connection that broke. */
  | "passing"
  /** A token that has run out. */
  | "expired"
  /** Credentials that are wrong, missing, or may not do it. */
  | "refused"
  /** No such container. */
  | "noContainer"
  /** No such blob, or any other thing that was asked for. */
  | "missing"
  /** It exists, a condition does not hold, or another has the lease. */
  | "conflict"
  /** The server computed another checksum than came with the bytes. */
  | "damaged"
  | "other";

/** Codes: learn.microsoft.com, "Blob service error codes" and "Common REST API error codes". */
const codes: Readonly<
  Partial<Record<string, Exclude<FailureKind, "passing" | "other">>>
> = {
  ContainerBeingDeleted: "noContainer",
  ContainerNotFound: "noContainer",
  Md5Mismatch: "damaged",
  Crc64Mismatch: "damaged",
};

/** Errors of @azure/identity: it found no credentials, or Entra does not take them. */
const identityErrors = [
  "AggregateAuthenticationError",
  "AuthenticationError",
  "AuthenticationRequiredError",
  "CredentialUnavailableError",
];

/** Names that the SDK gives to what went wrong on the way. */
const wayErrors = ["REQUEST_SEND_ERROR", "PARSE_ERROR", "AbortError"];

/** The fields of an SDK's error that say what it is. */
interface SdkError extends Error {
  readonly code?: string;
  readonly statusCode?: number;
  readonly details?: { readonly errorCode?: string };
}

/** The service's own code of an error, such as `BlobNotFound`. */
export function azureCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const { details, code, name } = error as SdkError;
  return details?.errorCode ?? code ?? name;
}

/** The HTTP status of Azure's answer, or `undefined` when there was none. */
export function azureStatus(error: unknown): number | undefined {
  return error instanceof Error ? (error as SdkError).statusCode : undefined;
}

/** What an error of the SDK calls for. */
export function failureKind(error: unknown): FailureKind {
  if (!(error instanceof Error)) return "other";
  const code = azureCode(error);
  const known = codes[code];
  if (known !== undefined) return known;
  if (identityErrors.includes(error.name)) return "refused";
  const status = azureStatus(error);
  switch (status) {
    case undefined:
      return isConnectionFailure(error) || wayErrors.includes(code)
        ? "passing"
        : "other";
    case 401:
      return "expired";
    case 403:
      return "refused";
    case 404:
      return "missing";
    case 409:
    case 412:
      return "conflict";
    case 408:
    case 429:
      return "passing";
    default:
      return status >= 500 ? "passing" : "other";
  }
}

/** Why a call came to nothing, and what to do: the end of a sentence, and the next ones. No secret is in it. */
export function reasonAndCure(access: BlobAccess, error: unknown): string {
  const code = azureCode(error);
  const { account, container } = access;
  switch (failureKind(error)) {
    case "noContainer":
      return `the storage account ${account} has no container ${container}. Make it, or correct its name in the stack's configuration.`;
    case "expired":
      return `the credentials${usedBy(access)} have run out, and new ones could not be had (${code}). Log in again, or give the pipeline a new token, and run again: what was done is kept.`;
    case "refused":
      return `the credentials${usedBy(access)} may not do that, are not taken, or are missing (${code}: ${saidBy(error)}). Give them the role Storage Blob Data Contributor on the container, as docs/azure.md says, or use others; a role that was just given takes minutes to count.`;
    case "damaged":
      return `the bytes that arrived are not those that were sent (${code}). Nothing was kept of them. Run again; if it happens again, look at the memory of this machine and at a proxy on the way.`;
    case "passing":
      return `${containerUrl(access)} did not do it for as long as it was tried (${code}: ${saidBy(error)}). Look at the network and the account's name, and run again: what was done is kept.`;
    default:
      return `${code}: ${saidBy(error)}. Put that right and run again.`;
  }
}

/**
 * An error of publishing for people; one that is for people already is handed back. The SDK's own error is not kept as
 * the cause: it may quote a request with its signature.
 *
 * @param attempt what was tried, as in `read https://account.blob.core.windows.net/images/x`
 */
export function blobFailure(
  attempt: string,
  access: BlobAccess,
  error: unknown,
): Error {
  if (
    error instanceof PublicationError ||
    error instanceof StoreError ||
    error instanceof UserError
  ) {
    return error;
  }
  const message = `It was not possible to ${attempt}: ${reasonAndCure(access, error)}`;
  const isForUser = ["expired", "noContainer", "refused"].includes(
    failureKind(error),
  );
  return isForUser ? new UserError(message) : new PublicationError(message);
}

function usedBy({ account, secretFrom }: BlobAccess): string {
  return secretFrom === undefined
    ? ` of Entra for the storage account ${account}`
    : ` in ${secretFrom}`;
}

/** The longest text of a server that is repeated to people. */
const longestSaid = 300;

/** The first line of what was said: the others repeat the request. */
function saidBy(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : "").split("\n");
  return line.slice(0, longestSaid).replace(/[.\s]+$/, "");
}
