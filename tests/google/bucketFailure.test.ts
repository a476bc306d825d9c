import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { StoreError } from "../../infra/errors.ts";
import { bucketFailure, isNoObject } from "../../infra/google/bucketFailure.ts";

const access = { bucket: "images" };

/** An error as the library makes it. */
const libraryError = (code: number | string, message: string, more = {}) =>
  Object.assign(new Error(message), { code, ...more });

describe("a failure of a bucket", () => {
  it.each<[string, unknown, RegExp]>([
    [
      "no bucket",
      libraryError(404, "The specified bucket does not exist."),
      /there is no bucket images\./,
    ],
    [
      "no permission",
      libraryError(403, "x does not have storage.objects.get access."),
      /storage\.objects\.get access\).*docs\/stores\.md/,
    ],
    [
      "no credentials",
      new Error("Could not load the default credentials. Browse to …"),
      /or there are none.*docs\/stores\.md/,
    ],
    [
      "old credentials",
      libraryError(401, "Invalid Credentials"),
      /run out.*Log in again/,
    ],
    [
      "throttling",
      libraryError(429, "The rate of change is too high."),
      /slow down \(429: The rate.*in a few minutes/,
    ],
    [
      "no name server",
      libraryError("ENOTFOUND", "getaddrinfo ENOTFOUND"),
      /Cloud Storage cannot be reached \(getaddrinfo/,
    ],
    [
      "damaged bytes, said in an upload's answer",
      libraryError(400, "Upload failed", {
        errors: [
          {
            error: {
              message:
                'Provided CRC32C "a" doesn\'t match calculated CRC32C "b".',
            },
          },
        ],
      }),
      /not those that were sent \(400: Provided CRC32C "a"/,
    ],
    ["anything else", libraryError(400, "Too large."), /400: Too large\. Put/],
    ["no error at all", "text", /text\. Put/],
  ])("is a sentence with a cure: %s", (_, error, said) => {
    const failure = bucketFailure("read gs://images/x", access, error);
    expect(failure).toBeInstanceOf(StoreError);
    expect(failure.message).toMatch(said);
    expect(failure.message).toMatch(/^It was not possible to read gs:.*\.$/);
  });

  it("says whose credentials they were, and keeps no request", () => {
    const error = libraryError(403, "No.", {
      config: { headers: { Authorization: "Bearer ya29.secret" } },
    });
    const serviceAccount = "ci@example.iam.gserviceaccount.com";
    const failure = bucketFailure("x", { ...access, serviceAccount }, error);
    expect(failure.message).toContain(`the credentials of ${serviceAccount}`);
    expect(inspect(failure, { depth: 9 })).not.toContain("ya29");
  });

  it("that was told already is not told again", () => {
    const told = new StoreError("Told.");
    expect(bucketFailure("read", access, told)).toBe(told);
  });

  it("is none where only the object is missing", () => {
    expect(isNoObject(libraryError(404, "No such object: images/x"))).toBe(
      true,
    );
    const noBucket = "The specified bucket does not exist.";
    expect(isNoObject(libraryError(404, noBucket))).toBe(false);
    expect(isNoObject(libraryError(403, "No."))).toBe(false);
  });
});
