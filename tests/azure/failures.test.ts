import { RestError } from "@azure/storage-blob";
import { describe, expect, test } from "vitest";
import { blobAccessSchema, containerUrl } from "../../infra/azure/access.ts";
import { containerClient } from "../../infra/azure/clients.ts";
import {
  blobFailure,
  failureKind,
  reasonAndCure,
} from "../../infra/azure/failures.ts";
import { PublicationError, UserError } from "../../infra/errors.ts";

const access = { account: "images", container: "disks" };

function said(statusCode: number | undefined, code: string): RestError {
  return new RestError(`${code}: so it is.\nRequestId:1`, {
    code,
    ...(statusCode === undefined ? {} : { statusCode }),
  });
}

describe("what Azure says", () => {
  test.each([
    [404, "ContainerNotFound", "noContainer"],
    [404, "BlobNotFound", "missing"],
    [409, "BlobAlreadyExists", "conflict"],
    [412, "LeaseIdMismatchWithBlobOperation", "conflict"],
    [401, "InvalidAuthenticationInfo", "expired"],
    [403, "AuthorizationPermissionMismatch", "refused"],
    [400, "Md5Mismatch", "damaged"],
    [503, "ServerBusy", "passing"],
    [undefined, "ECONNRESET", "passing"],
    [undefined, "REQUEST_SEND_ERROR", "passing"],
    [400, "InvalidPageRange", "other"],
  ])("%s %s is %s", (status, code, kind) => {
    expect(failureKind(said(status, code))).toBe(kind);
  });

  test("is told without the request that it repeats", () => {
    expect(reasonAndCure(access, said(400, "InvalidPageRange"))).toBe(
      "InvalidPageRange: InvalidPageRange: so it is. Put that right and run again.",
    );
  });

  test("is the user's to put right, or not", () => {
    const of = (status: number, code: string) =>
      blobFailure("read it", access, said(status, code));
    expect(of(403, "AuthorizationFailure")).toBeInstanceOf(UserError);
    expect(of(503, "ServerBusy")).toBeInstanceOf(PublicationError);
    const told = new UserError("Told already.");
    expect(blobFailure("read it", access, told)).toBe(told);
  });
});

describe("a container", () => {
  test("has an address at Azure, or in the path of another server", () => {
    expect(containerUrl(access)).toBe(
      "https://images.blob.core.windows.net/disks",
    );
    expect(
      containerUrl({ ...access, endpoint: "http://127.0.0.1:10000/" }),
    ).toBe("http://127.0.0.1:10000/images/disks");
  });

  test.each([
    ["account", "Images"],
    ["account", "im"],
    ["container", "-disks"],
    ["container", "my--disks"],
    ["container", "d"],
    ["secretFrom", "a b"],
    ["endpoint", "https://user:word@example.org"],
    ["endpoint", "https://example.org?sig=1"],
    ["tenant", "mine"],
  ])("cannot be reached with the %s %s", (field, value) => {
    const parsed = blobAccessSchema.safeParse({ ...access, [field]: value });
    expect(parsed.error?.issues[0]?.path).toEqual([field]);
  });
});

describe("an account's secret", () => {
  const key = Buffer.from("nobody's secret").toString("base64");
  const secretFrom = "TEST_AZURE_SECRET";
  const clientWith = (value: string) => {
    process.env[secretFrom] = value;
    return containerClient({ ...access, secretFrom });
  };

  test.each([
    ["its key", key],
    [
      "a connection string",
      `DefaultEndpointsProtocol=https;AccountName=images;AccountKey=${key};EndpointSuffix=core.windows.net`,
    ],
  ])("may be %s", async (_, value) => {
    const { credential } = await clientWith(value);
    expect(credential).toMatchObject({ accountName: "images" });
  });

  test.each([
    ["nothing", "", /has no TEST_AZURE_SECRET/],
    [
      "of another account",
      `AccountName=other;AccountKey=${key}`,
      /not of the storage account images.*but of other/,
    ],
    ["something else", "hunter2!", /neither the key/],
  ])("cannot be %s", async (_, value, message) => {
    const refused = clientWith(value);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.not.toThrow(/hunter2/);
  });
});
