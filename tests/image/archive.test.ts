import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  archiveState,
  archiveStates,
  indexDigest,
  mirrorOfHost,
  releaseDateSeconds,
} from "../../infra/image/archive.ts";
import { sourcesText } from "../../infra/image/build/aptSources.ts";
import { definitionWith, trixie } from "../definitions/fixtures.ts";

const release = (date: string, packages: string) => `Origin: Debian
Date: ${date}
SHA256:
 ${packages.repeat(64)}    12345 main/binary-amd64/Packages
 ${"e".repeat(64)}    12345 main/binary-arm64/Packages
 ${"f".repeat(64)}    12345 main/Contents-amd64
`;
const monday = "Mon, 16 Nov 2026 08:00:00 UTC";

async function cacheDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "archive-test-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

describe("the digest of a Release file", () => {
  const digest = indexDigest(release(monday, "a"), "amd64");

  it("changes with the package index of the architecture", () => {
    expect(indexDigest(release(monday, "b"), "amd64")).not.toBe(digest);
  });

  it("stays when the archive is only signed anew", () => {
    const later = release("Tue, 17 Nov 2026 08:00:00 UTC", "a");
    expect(indexDigest(later, "amd64")).toBe(digest);
  });
});

describe("the date of a Release file", () => {
  it("is read in UTC", () => {
    expect(releaseDateSeconds(release(monday, "a"))).toBe(
      Date.UTC(2026, 10, 16, 8) / 1000,
    );
  });

  it("must be there", () => {
    expect(() => releaseDateSeconds("Origin: Debian\n")).toThrow(
      /no date that can be read/,
    );
  });
});

describe("apt sources", () => {
  it("name release, updates and security", () => {
    const text = sourcesText(trixie.suites, {
      debian: "http://a/debian",
      security: "http://b/security",
    });
    expect(text).toContain(
      "URIs: http://a/debian\nSuites: trixie trixie-updates\n",
    );
    expect(text).toContain(
      "URIs: http://b/security\nSuites: trixie-security\n",
    );
    expect(text.match(/^Signed-By: /gm)).toHaveLength(2);
  });
});

describe("the archive that this machine uses", () => {
  it("is asked for its state, and says the same when asked again", async () => {
    const directory = await cacheDirectory();
    const mirror = await mirrorOfHost();
    const state = await archiveState(trixie, "amd64", mirror, directory);
    expect(Object.keys(state.suites)).toEqual([
      "trixie",
      "trixie-updates",
      "trixie-security",
    ]);
    expect(state.epochSeconds).toBeGreaterThan(Date.UTC(2025, 7, 9) / 1000);
    expect(await archiveState(trixie, "amd64", mirror, directory)).toEqual(
      state,
    );
  });
});

describe("an archive that cannot be reached", () => {
  it("is named, with what apt said and what to do", async () => {
    const mirror = {
      debian: "http://127.0.0.1:9/debian",
      security: "http://127.0.0.1:9/debian-security",
    };
    const attempt = archiveState(
      trixie,
      "amd64",
      mirror,
      await cacheDirectory(),
    );
    await expect(attempt).rejects.toThrow(
      /The archive of trixie could not be read from http:\/\/127\.0\.0\.1:9\/debian [\s\S]*cloud-images:archive/,
    );
  });
});

describe("the archive of several runs at once", () => {
  it("is asked by one after the other", async () => {
    const directory = await cacheDirectory();
    const mirror = await mirrorOfHost();
    const ask = () =>
      archiveStates([definitionWith()], () => mirror, directory);
    const [one, other] = await Promise.all([ask(), ask()]);
    expect(one).toEqual(other);
  });
});
