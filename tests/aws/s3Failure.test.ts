import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { s3Failure } from "../../infra/aws/s3Failure.ts";
import { StoreError } from "../../infra/errors.ts";

const access = { bucket: "images", region: "eu-central-1" };

/** An error as the SDK makes it. */
const sdkError = (
  name: string,
  status?: number,
  more: Record<string, unknown> = {},
) =>
  Object.assign(new Error("It said so."), {
    ...{ name, $metadata: { httpStatusCode: status, requestId: "R1" } },
    ...more,
  });

describe("a failure of S3", () => {
  it.each<[string, unknown, RegExp]>([
    ["no bucket", sdkError("NoSuchBucket", 404), /there is no bucket images\./],
    ["no permission", sdkError("AccessDenied", 403), /docs\/s3\.md/],
    ["no reason", sdkError("Unknown", 403), /may not do that/],
    [
      "a redirect",
      sdkError("Unknown", 301, {
        $response: { headers: { "x-amz-bucket-region": "us-west-2" } },
      }),
      /not in the region eu-central-1, but in us-west-2\./,
    ],
    ["throttling", sdkError("SlowDown", 503), /slow down.*in a few minutes/],
    ["too many", sdkError("Unknown", 429), /slow down/],
    ["an error", sdkError("InternalError", 500), /status 500, request R1/],
    [
      "no name server",
      sdkError("Error", undefined, { code: "ENOTFOUND" }),
      /S3 in eu-central-1 cannot be reached \(ENOTFOUND\)/,
    ],
    ["silence", sdkError("TimeoutError"), /cannot be reached \(TimeoutError\)/],
    [
      "no credentials",
      sdkError("CredentialsProviderError"),
      /were found\. Log/,
    ],
    ["old credentials", sdkError("ExpiredToken", 400), /have run out/],
    [
      "anything else",
      sdkError("EntityTooLarge", 400),
      /EntityTooLarge: It sai/,
    ],
    ["no error at all", "text", /an unknown error/],
  ])("is a sentence with a cure: %s", (_, error, said) => {
    const failure = s3Failure("read s3://images/x", access, error);
    expect(failure).toBeInstanceOf(StoreError);
    expect(failure.message).toMatch(said);
    expect(failure.message).toMatch(/^It was not possible to read s3:.*\.$/);
  });

  it("names whose credentials were used, and never the credentials", () => {
    const error = sdkError("SignatureDoesNotMatch", 403, {
      AWSAccessKeyId: "AKIAIOSFODNN7EXAMPLE",
      message: "AKIAIOSFODNN7EXAMPLE is wrong.",
    });
    const failure = s3Failure("x", { ...access, profile: "me" }, error);
    expect(failure.message).toMatch(/credentials of the profile me/);
    expect(inspect(failure, { depth: 9 })).not.toContain("AKIA");
    const other = s3Failure("x", access, Object.assign(error, { name: "New" }));
    expect(inspect(other, { depth: 9 })).not.toContain("AKIA");
  });

  it("that was told already is not told again", () => {
    const told = new StoreError("Told.");
    expect(s3Failure("read", access, told)).toBe(told);
  });
});
