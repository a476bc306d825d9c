/** What AWS says when it does not do what it was asked, sorted and put into sentences. Pure. */

import { isConnectionFailure } from "../connectionFailure.ts";
import { PublicationError, UserError } from "../errors.ts";
import type { AwsAccess } from "./access.ts";

/** What is to be done about an error: ask again, fetch credentials anew, or tell the user. */
export type FailureKind = "passing" | "expired" | "quota" | "refused" | "other";

/** Said with the whole request, the session's token included. */
const unsigned = ["InvalidSignatureException", "SignatureDoesNotMatch"];

/** Names under which the SDK says that there are no credentials at all. */
export const noCredentialsCodes = [
  "CredentialsProviderError",
  "TokenProviderError",
];

/** Codes for credentials that nobody knows, or that are wrong. */
export const wrongCredentialsCodes = [
  "InvalidAccessKeyId",
  "InvalidClientTokenId",
  "UnrecognizedClientException",
  ...unsigned,
];

/** Codes by which services of AWS say the same things. */
const codes: Readonly<
  Record<Exclude<FailureKind, "other">, readonly string[]>
> = {
  passing: [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "InternalError",
    "InternalFailure",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TimeoutError",
    "TooManyRequestsException",
    "Unavailable",
  ],
  expired: [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidToken",
    "RequestExpired",
    "TokenRefreshRequired",
  ],
  quota: [
    "ConcurrentLimitExceededException",
    "ConcurrentSnapshotLimitExceeded",
    "MaxSnapshotsExceeded",
    "PendingSnapshotLimitExceeded",
    "ResourceLimitExceeded",
    "ServiceQuotaExceededException",
    "SnapshotLimitExceeded",
    "VolumeLimitExceeded",
  ],
  refused: [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    ...noCredentialsCodes,
    "OptInRequired",
    "UnauthorizedOperation",
    ...wrongCredentialsCodes,
  ],
};

/** What EBS says of a block that is still being written by a call whose answer was lost. */
const passingReasons = ["CONFLICTING_BLOCK_UPDATE", "WRITE_REQUEST_TIMEOUT"];

/** The fields of an SDK's error that say what it is. */
interface AwsError extends Error {
  readonly Reason?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** The service's own code of an error, such as `UnauthorizedOperation`. */
export function awsErrorCode(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

/** What an error of the SDK calls for. */
export function failureKind(error: unknown): FailureKind {
  if (!(error instanceof Error)) return "other";
  const { name, Reason, $metadata } = error as AwsError;
  if (passingReasons.includes(Reason ?? "")) return "passing";
  for (const kind of ["expired", "quota", "refused", "passing"] as const) {
    if (codes[kind].includes(name)) return kind;
  }
  const isPassing =
    ($metadata?.httpStatusCode ?? 0) >= 500 ||
    $metadata?.httpStatusCode === 429 ||
    isConnectionFailure(error);
  return isPassing ? "passing" : "other";
}

/**
 * An error for people.
 *
 * @param task what was to be done, such as `read the snapshot snap-1`
 */
export function awsFailure(
  task: string,
  { region, profile }: AwsAccess,
  error: unknown,
): Error {
  const code = awsErrorCode(error);
  const isUnsigned = unsigned.includes(code);
  const said = isUnsigned
    ? `${code}: is this machine's clock right?`
    : `${code}: ${error instanceof Error ? error.message : error}`;
  const options = isUnsigned ? {} : { cause: error };
  switch (failureKind(error)) {
    case "quota":
      return new PublicationError(
        `AWS does not ${task} in ${region}, as a quota of the account is used up (${said}). Ask for more under Service Quotas, or remove what is not needed, and run again.`,
        options,
      );
    case "expired":
      return new UserError(
        `The AWS credentials expired before this could ${task} in ${region}, and new ones could not be had (${said}). Renew them and run again: it goes on with what is there.`,
        options,
      );
    case "refused":
      return new UserError(
        `AWS does not let these credentials${profile === undefined ? "" : ` (profile ${profile})`} ${task} in ${region} (${said}). Give their role the permissions that docs/ec2.md lists, or use others.`,
        options,
      );
    case "passing":
      return new PublicationError(
        `AWS did not ${task} in ${region} for as long as it was tried (${said}). Run again: it goes on with what is there.`,
        options,
      );
    case "other":
      return new PublicationError(
        `AWS does not ${task} in ${region} (${said}). Put right what that says, and run again: it goes on with what is there.`,
        options,
      );
  }
}
