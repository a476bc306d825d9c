import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { UserError } from "../../infra/errors.ts";
import { projectDirectory, projectPath } from "../../infra/projectPaths.ts";
import {
  openStore,
  storeAddress,
  storeDifference,
} from "../../infra/store/openStore.ts";
import { storeConfigSchema } from "../../infra/store/storeConfig.ts";

const region = "eu-central-1";
const address = (config: unknown) =>
  storeAddress(storeConfigSchema.parse(config));

describe("the address of a store", () => {
  it("is the path of a directory", () => {
    expect(address({ directory: "store" })).toBe("store");
    expect(openStore("store").location).toBe(projectPath("store"));
  });

  it("is the bucket, and how it is reached, in one order", () => {
    const one = { bucket: "images", prefix: "team/a", region, profile: "me" };
    const other = { profile: "me", region, prefix: "team/a", bucket: "images" };
    const text = "s3://images/team/a?profile=me&region=eu-central-1";
    expect(address({ s3: one })).toBe(text);
    expect(address({ s3: other })).toBe(text);
    expect(openStore(text).location).toBe("s3://images/team/a");
    expect(openStore(text)).toBe(openStore(text));
  });

  it("brings back everything that it was made from", () => {
    const assumeRole = "arn:aws:iam::123456789012:role/release+1";
    const endpoint = "https://s3.example:8443/x?y=1";
    const text = address({
      s3: { bucket: "b.c", region, assumeRole, endpoint },
    });
    expect(openStore(text).location).toBe("s3://b.c");
    expect(new URLSearchParams(text.split("?")[1]).get("endpoint")).toBe(
      endpoint,
    );
  });

  it.each<[string, object, string, string]>([
    [
      "of Cloud Storage",
      { gcs: { bucket: "images.example.org", prefix: "team/a" } },
      "gs://images.example.org/team/a",
      "gs://images.example.org/team/a",
    ],
    [
      "of Cloud Storage, as another account",
      {
        gcs: {
          bucket: "images",
          serviceAccount: "ci@example.iam.gserviceaccount.com",
        },
      },
      "gs://images?serviceAccount=ci%40example.iam.gserviceaccount.com",
      "gs://images",
    ],
    [
      "of Azure",
      {
        azureBlob: {
          ...{ account: "example1", container: "images", prefix: "team/a" },
          ...{ secretFrom: "THE_KEY", endpoint: "http://127.0.0.1:1/x" },
        },
      },
      "az://example1/images/team/a?endpoint=http%3A%2F%2F127.0.0.1%3A1%2Fx&secretFrom=THE_KEY",
      "az://example1/images/team/a",
    ],
  ])("names a bucket %s", (_, config, text, location) => {
    expect(address(config)).toBe(text);
    expect(openStore(text).location).toBe(location);
    expect(openStore(text)).toBe(openStore(text));
  });

  it.each([
    "gs://a",
    "gs://images?project=x",
    "gs://images/a//b",
    "az://example1",
    "az://Example1/images",
    "az://example1/images?key=x",
    "s3://images",
    "s3://images/a//b?region=eu-central-1",
    "s3://images?region=eu-central-1&password=x",
    "s3://?region=eu-central-1",
  ])("is refused when it is %s", (text) => {
    expect(() => openStore(text)).toThrow(UserError);
    expect(() => openStore(text)).toThrow(/is no address of a bucket/);
  });

  it("tells another store from the same in another way", () => {
    const before = address({ s3: { bucket: "images", region } });
    const changed = (settings: object) =>
      storeDifference(
        before,
        address({ s3: { bucket: "images", region, ...settings } }),
      );
    const same = { replaces: [], updates: [] };
    expect(changed({})).toEqual(same);
    expect(changed({ profile: "me" })).toEqual({ ...same, updates: ["store"] });
    for (const other of [{ prefix: "a" }, { endpoint: "https://other" }]) {
      expect(changed(other)).toEqual({ ...same, replaces: ["store"] });
    }
    expect(storeDifference("gs://images", before).replaces).toEqual(["store"]);
    expect(
      storeDifference(
        "az://example1/images",
        "az://example1/images?secretFrom=K",
      ),
    ).toEqual({ ...same, updates: ["store"] });
    expect(
      storeDifference("az://example1/images", "az://example2/images"),
    ).toEqual({ ...same, replaces: ["store"] });
    expect(storeDifference("store", before).replaces).toEqual(["store"]);
    expect(storeDifference("store", "other").replaces).toEqual(["store"]);
  });
});

describe("a store in the configuration", () => {
  it.each<[string, unknown, RegExp]>([
    ["none", {}, /one of directory, s3, gcs and azureBlob/],
    ["two", { directory: "a", s3: { bucket: "abc", region } }, /one of/],
    [
      "two buckets",
      {
        gcs: { bucket: "abc" },
        azureBlob: { account: "abc", container: "abc" },
      },
      /one of/,
    ],
    ["an address as a path", { directory: "az://a/b" }, /a bucket is/],
    [
      "a bucket like an address",
      { s3: { bucket: "192.168.5.4", region } },
      /name of a bucket/,
    ],
    [
      "a bucket of two dots",
      { s3: { bucket: "a..b", region } },
      /name of a bucket/,
    ],
    ["a name of Google's", { gcs: { bucket: "google-a" } }, /name of a bucket/],
    ["no account", { azureBlob: { container: "abc" } }, /account/],
    [
      "a bad account",
      { azureBlob: { account: "a-b", container: "abc" } },
      /name of a storage account/,
    ],
    [
      "a bad container",
      { azureBlob: { account: "abc", container: "a--b" } },
      /name of a container/,
    ],
    [
      "a secret of Azure",
      { azureBlob: { account: "abc", container: "abc", accountKey: "x" } },
      /accountKey/,
    ],
    ["an address as a path", { directory: "s3://abc" }, /a bucket is `s3`/],
    ["no region", { s3: { bucket: "abc" } }, /region/],
    ["a bad bucket", { s3: { bucket: "ABC", region } }, /name of a bucket/],
    ["a bad prefix", { s3: { bucket: "abc", region, prefix: "a/" } }, /slash/],
    [
      "a secret",
      { s3: { bucket: "abc", region, secretAccessKey: "x" } },
      /secretAccessKey/,
    ],
  ])("is refused with %s", (_, config, said) => {
    expect(storeConfigSchema.safeParse(config).error?.message).toMatch(said);
  });
});

it("loads no cloud's SDK for anybody who does not use a bucket", () => {
  const program = (use: string) => `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ resolve: (name, context, next) => {
      if (/^@(aws-sdk|azure|google-cloud)\\//.test(name)) loaded.push(name);
      return next(name, context);
    } });
    await import("./infra/program.ts");
    const { openStore } = await import("./infra/store/openStore.ts");
    openStore("gs://images");
    openStore("az://example1/images");
    const store = openStore("s3://images?region=eu-central-1&endpoint=http%3A%2F%2F127.0.0.1%3A9");
    await openStore(".cache/no-such-store").list("");
    ${use}
    console.log(loaded.length);
  `;
  const loaded = (use: string) =>
    Number(
      execFileSync(
        process.execPath,
        [
          "--no-warnings",
          "--input-type=module-typescript",
          "--eval",
          program(use),
        ],
        { cwd: projectDirectory, encoding: "utf8" },
      ),
    );
  expect(loaded("")).toBe(0);
  const using = `await store.read("x").catch(() => {});`;
  expect(loaded(using)).toBeGreaterThan(0);
});
