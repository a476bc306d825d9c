/** What Google Cloud says when it does not do what it was asked, sorted and put into sentences. Pure. */

import { isConnectionFailure } from "../connectionFailure.ts";
import { PublicationError, UserError } from "../errors.ts";

/** What is to be done about an error: ask again, fetch credentials anew, or tell the user. */
export type FailureKind = "passing" | "expired" | "quota" | "refused" | "other";

/** An answer of a service that is none of those that were wanted, or an operation that came to a bad end. */
export class GoogleError extends Error {
  override name = "GoogleError";
  /** Of HTTP. */
  readonly status: number;
  /** The services' own words for it, such as `quotaExceeded`. */
  readonly reasons: readonly string[];

  constructor(status: number, reasons: readonly string[], said: string) {
    super(said);
    this.status = status;
    this.reasons = reasons;
  }
}

/** The errors of Google's libraries, as far as they say the same things. */
interface LibraryError {
  readonly code?: number | string;
  readonly status?: number;
  readonly reasons?: readonly string[];
  readonly errors?: readonly { readonly reason?: string }[];
  readonly response?: {
    readonly status?: number;
    readonly data?: {
      readonly error?:
        | string
        | { readonly errors?: readonly { readonly reason?: string }[] };
    };
  };
}

/** Words for what is over soon, by whatever status they come. */
const passingReasons = [
  "backendError",
  "internalError",
  "INTERNAL_ERROR",
  "rateLimitExceeded",
  "RATE_LIMIT_EXCEEDED",
  "resourceNotReady",
  "RESOURCE_NOT_READY",
  "RESOURCE_OPERATION_RATE_EXCEEDED",
  "userRateLimitExceeded",
];

const quotaReasons = [
  "dailyLimitExceeded",
  "LIMIT_EXCEEDED",
  "QUOTA_EXCEEDED",
  "quotaExceeded",
];

/** What the library of credentials says where there are none, or where a token is not given. */
const noCredentials =
  /Could not load the default credentials|Unable to detect|Could not refresh access token|invalid_grant|unable to impersonate/i;

const passingStatuses = [408, 429, 500, 502, 503, 504];

/** The status of HTTP that an error came with, if it did. */
export function googleStatus(error: unknown): number | undefined {
  const { status, code, response } = (error ?? {}) as LibraryError;
  const found = status ?? response?.status ?? Number(code);
  return Number.isInteger(found) ? found : undefined;
}

/** The service's own words for an error. */
export function googleReasons(error: unknown): readonly string[] {
  const { reasons, errors, response } = (error ?? {}) as LibraryError;
  const said = response?.data?.error;
  const more = typeof said === "object" ? (said.errors ?? []) : [];
  return [
    ...(reasons ?? []),
    ...[...(Array.isArray(errors) ? errors : []), ...more].flatMap(
      ({ reason }) => reason ?? [],
    ),
  ];
}

/** What is to be done about an error. */
export function failureKind(error: unknown): FailureKind {
  const reasons = googleReasons(error);
  const status = googleStatus(error);
  const says = (words: readonly string[]) =>
    words.some((word) => reasons.includes(word));
  if (says(quotaReasons)) return "quota";
  if (says(passingReasons)) return "passing";
  if (status === 401) return "expired";
  if (status !== undefined && passingStatuses.includes(status)) {
    return "passing";
  }
  if (isConnectionFailure(error) || isConnectionFailure(causeOf(error))) {
    return "passing";
  }
  if (status === 403 || noCredentials.test(messageOf(error))) return "refused";
  return "other";
}

/**
 * An error for people.
 *
 * @param task what was to be done, such as `delete the image debian-13`
 * @param where the project or bucket, for messages
 */
export function googleFailure(
  task: string,
  where: string,
  error: unknown,
): Error {
  const status = googleStatus(error);
  const said = `${status === undefined ? "" : `${status}: `}${messageOf(error)}`;
  const options = { cause: error };
  switch (failureKind(error)) {
    case "quota":
      return new PublicationError(
        `Google Cloud does not ${task} in ${where}, as a quota is used up (${said}). Ask for more under IAM & Admin, Quotas, or remove what is not needed, and run again.`,
        options,
      );
    case "expired":
      return new UserError(
        `Google Cloud does not know these credentials, or they expired, and it did not ${task} in ${where} (${said}). Renew them, with gcloud auth application-default login or a new token of the pipeline, and run again: it goes on with what is there.`,
        options,
      );
    case "refused":
      return new UserError(
        `Google Cloud does not let these credentials ${task} in ${where} (${said}). Give their service account the permissions that docs/gce.md lists, or use others.`,
        options,
      );
    case "passing":
      return new PublicationError(
        `Google Cloud did not ${task} in ${where} for as long as it was tried (${said}). Run again: it goes on with what is there.`,
        options,
      );
    case "other":
      return new PublicationError(
        `Google Cloud does not ${task} in ${where} (${said}). Put right what that says, and run again: it goes on with what is there.`,
        options,
      );
  }
}

/** The longest text of a server that is repeated to people. */
const longestSaid = 300;

/** What a server or a library says, as it is repeated to people: on one line, not endless, and without credentials. Pure. */
export function toldToPeople(said: string): string {
  return (
    said
      // What is behind the question mark of an upload's address is as good as a credential.
      .replace(/(https?:\/\/[^\s?]+)\?\S*/g, "$1")
      .replace(/\s+/g, " ")
      .trim()
      .slice(0, longestSaid)
  );
}

function messageOf(error: unknown): string {
  // What is said in mid-upload the library hands on as it is, which is no Error.
  const { message } = (error ?? {}) as { readonly message?: string };
  return toldToPeople(message ?? String(error));
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
