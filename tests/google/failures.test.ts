import { describe, expect, test } from "vitest";
import { PublicationError, UserError } from "../../infra/errors.ts";
import {
  failureKind,
  GoogleError,
  googleFailure,
  googleReasons,
  googleStatus,
  toldToPeople,
} from "../../infra/google/failures.ts";

/** What the library of Cloud Storage throws. */
const storageError = (code: number, reason: string) =>
  Object.assign(new Error(reason), { code, errors: [{ reason }] });

/** What the library of credentials throws. */
const requestError = (status: number, reason: string) =>
  Object.assign(new Error(reason), {
    code: String(status),
    response: { status, data: { error: { errors: [{ reason }] } } },
  });

describe("errors of Google Cloud", () => {
  test.each([
    [storageError(503, "backendError"), "passing"],
    [storageError(403, "rateLimitExceeded"), "passing"],
    [requestError(429, "rateLimitExceeded"), "passing"],
    [new GoogleError(403, ["quotaExceeded"], "IMAGES"), "quota"],
    [new GoogleError(200, ["QUOTA_EXCEEDED"], "IMAGES"), "quota"],
    [storageError(401, "required"), "expired"],
    [storageError(403, "forbidden"), "refused"],
    [new Error("Could not load the default credentials."), "refused"],
    [storageError(404, "notFound"), "other"],
    [Object.assign(new Error("read"), { code: "ECONNRESET" }), "passing"],
    [
      new TypeError("fetch failed", {
        cause: Object.assign(new Error("connect"), { code: "ECONNREFUSED" }),
      }),
      "passing",
    ],
  ] as const)("are sorted: %s is %s", (error, kind) => {
    expect(failureKind(error)).toBe(kind);
  });

  test("say their status and reasons whichever library they come from", () => {
    for (const error of [
      storageError(403, "forbidden"),
      requestError(403, "forbidden"),
      new GoogleError(403, ["forbidden"], "no"),
    ]) {
      expect(googleStatus(error)).toBe(403);
      expect(googleReasons(error)).toStrictEqual(["forbidden"]);
    }
    expect(
      googleStatus(Object.assign(new Error("read"), { code: "ECONNRESET" })),
    ).toBeUndefined();
  });

  test("name the task, the place and the cure", () => {
    const refused = googleFailure(
      "delete the image one",
      "the project some-project",
      storageError(403, "forbidden"),
    );
    expect(refused).toBeInstanceOf(UserError);
    expect(refused.message).toMatch(
      /does not let these credentials delete the image one in the project some-project \(403: forbidden\).*docs\/gce\.md/,
    );
    const full = googleFailure(
      "make an image",
      "the project some-project",
      new GoogleError(403, ["quotaExceeded"], "Quota 'IMAGES' exceeded"),
    );
    expect(full).toBeInstanceOf(PublicationError);
    expect(full.message).toContain("a quota is used up");
    const inUpload = { code: 400, message: "Too many bytes" };
    expect(googleFailure("send", "it", inUpload).message).toContain(
      "(400: Too many bytes)",
    );
  });
});

test("is told without what an upload's address is a credential by", () => {
  expect(
    toldToPeople(
      "request to https://storage.example/upload/b?upload_id=secret failed,\n reason: gone",
    ),
  ).toBe("request to https://storage.example/upload/b failed, reason: gone");
});
