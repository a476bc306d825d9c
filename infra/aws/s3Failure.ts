/** Turns what S3, or the way to it, says into a sentence for the user. No credential is ever in it. */

import { StoreError } from "../errors.ts";
import type { AwsAccess } from "./access.ts";
import {
  type FailureKind,
  failureKind,
  noCredentialsCodes,
  wrongCredentialsCodes,
} from "./failures.ts";

/** Which bucket, and how it is reached. */
export interface BucketAccess extends AwsAccess {
  readonly bucket: string;
}

/** What is looked at in an error of the SDK: the service's code, its answer, and the operating system's code. */
interface SdkError {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  /** Where the bucket is, when it is not where it was looked for. */
  readonly region: string | undefined;
}

/** S3 computed another checksum than came with the bytes. */
const damaged = ["BadDigest", "XAmzContentChecksumMismatch"];
const wrongRegion = [
  "PermanentRedirect",
  "AuthorizationHeaderMalformed",
  "IllegalLocationConstraintException",
];

/**
 * A StoreError that says what could not be done, why, and what to do. One that is a StoreError already is handed back as it
 * is. The SDK's own error is not kept as the cause: it may quote the access key.
 *
 * @param attempt what was tried, as in `read s3://images/x`
 */
export function s3Failure(
  attempt: string,
  access: BucketAccess,
  error: unknown,
): StoreError {
  if (error instanceof StoreError) return error;
  return new StoreError(
    `It was not possible to ${attempt}: ${reasonAndCure(access, describe(error), failureKind(error))}`,
  );
}

/** The HTTP status of S3's answer, or `undefined` when there was none. */
export function s3Status(error: unknown): number | undefined {
  return describe(error).status;
}

/** The code by which S3 names what is wrong, such as `NoSuchBucket`. */
export function s3Code(error: unknown): string {
  return describe(error).name;
}

function reasonAndCure(
  access: BucketAccess,
  error: SdkError,
  kind: FailureKind,
): string {
  const { name, code = "", status } = error;
  const { bucket, region, endpoint } = access;
  if (name === "NoSuchBucket") {
    return `there is no bucket ${bucket}. Make it, or correct its name in the stack's configuration.`;
  }
  if (wrongRegion.includes(name) || status === 301) {
    return `the bucket ${bucket} is not in the region ${region}${error.region === undefined ? "" : `, but in ${error.region}`}. Correct the region in the stack's configuration.`;
  }
  if (noCredentialsCodes.includes(name)) {
    return `no AWS credentials were found${usedBy(access)}. Log in, or set the profile in the stack's configuration; in a pipeline, let it take on the role.`;
  }
  if (kind === "expired") {
    return `the AWS credentials${usedBy(access)} have run out. Log in again and run again: what was done is kept.`;
  }
  if (wrongCredentialsCodes.includes(name)) {
    return `S3 does not take the AWS credentials${usedBy(access)} (${name}). Correct them, and the clock of this machine if it is wrong.`;
  }
  if (status === 403) {
    return `the credentials${usedBy(access)} may not do that (${name}), or the bucket ${bucket} is of another account. Give the role the permissions that docs/s3.md lists; without s3:ListBucket S3 refuses to say what is missing, too.`;
  }
  if (damaged.includes(name)) {
    return `the bytes that arrived are not those that were sent (${name}). Nothing was kept of them. Run again; if it happens again, look at the memory of this machine and at a proxy on the way.`;
  }
  if (kind === "passing" && status === undefined) {
    return `${endpoint ?? `S3 in ${region}`} cannot be reached (${code || name}). Look at the network, a proxy or the region's name, and run again: what was done is kept.`;
  }
  if (kind === "passing") {
    return `S3 kept failing, or asked to slow down (${name}, status ${status}${requestOf(error)}). Run again in a few minutes: what was done is kept.`;
  }
  return `${name}: ${withoutKeys(error.message)}${requestOf(error)}. Put that right and run again.`;
}

/** Whose credentials, as far as the configuration says. */
function usedBy({ profile, assumeRole }: AwsAccess): string {
  if (assumeRole !== undefined) return ` of the role ${assumeRole}`;
  return profile === undefined ? "" : ` of the profile ${profile}`;
}

function requestOf({ requestId }: SdkError): string {
  return requestId === undefined ? "" : `, request ${requestId}`;
}

/** Identifiers of access keys begin with AKIA or ASIA (IAM's unique identifiers). */
function withoutKeys(message: string): string {
  return message.replace(/\bA[KS]IA[A-Z0-9]{12,}\b/g, "(an access key)");
}

function describe(error: unknown): SdkError {
  const found = isObject(error) ? error : {};
  const metadata = isObject(found.$metadata) ? found.$metadata : {};
  const response = isObject(found.$response) ? found.$response : {};
  const headers = isObject(response.headers) ? response.headers : {};
  return {
    name: textOf(found.name) ?? "an unknown error",
    message: textOf(found.message) ?? "",
    code: textOf(found.code),
    status:
      typeof metadata.httpStatusCode === "number"
        ? metadata.httpStatusCode
        : undefined,
    requestId: textOf(metadata.requestId),
    region: textOf(headers["x-amz-bucket-region"]) ?? textOf(found.Region),
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
