/** That layers are no shortcut: a real image is the same to the byte, whatever the cache has of it. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {
  Definition,
  ImageKey,
} from "../../infra/definitions/definition.ts";
import { loadDefinitions } from "../../infra/definitions/load.ts";
import {
  type ArchiveState,
  archiveState,
  mirrorOfHost,
} from "../../infra/image/archive.ts";
import { buildImage } from "../../infra/image/build/build.ts";
import { projectPath } from "../../infra/projectPaths.ts";

const minutes = 60_000;
/** Extends two others, so that it has layers of all kinds: an initramfs is part of one. */
const name = "debian-13-genericcloud-amd64";

describe("an image", { timeout: 10 * minutes }, () => {
  let directory = "";
  let definition: Definition;
  let archive: ArchiveState;
  let first = "";
  const layers = () => join(directory, "cache/layers");

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "layers-test-"));
    const all = await loadDefinitions(projectPath("image-definitions"));
    definition = all.find((each) => each.name === name) as Definition;
    archive = await archiveState(
      definition.release,
      definition.architecture,
      await mirrorOfHost(),
      join(directory, "archive"),
    );
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  /** Builds the image. @returns the sha256 of its disk, and the phases it took */
  async function build() {
    const output = join(directory, "output");
    await mkdir(output);
    const { phaseSeconds } = await buildImage(
      {
        definition,
        archive,
        key: "a".repeat(64) as ImageKey,
        builder: "b",
        configSpace: projectPath("image-definitions/fai"),
        outputDirectory: output,
        cacheDirectory: join(directory, "cache"),
      },
      join(directory, "build.log"),
      () => {},
    );
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(output, "disk.raw")), hash);
    await rm(output, { recursive: true });
    return { sha256: hash.digest("hex"), phases: Object.keys(phaseSeconds) };
  }

  it("that is built from nothing leaves its layers for others", async () => {
    const { phases, sha256 } = await build();
    first = sha256;
    expect(phases).toContain("shared packages");
    const kept = (await readdir(layers())).filter((file) =>
      file.endsWith(".tar"),
    );
    expect(kept).toHaveLength(definition.layers.length + 1);
  });

  it("is the same to the byte when it is built on its layers", async () => {
    const { phases, sha256 } = await build();
    expect(phases).not.toContain("shared packages");
    expect(sha256).toBe(first);
  });

  it("is the same to the byte when its highest layer was lost, and the next altered", async () => {
    const files = await readdir(layers());
    const fileOf = (last: string) =>
      join(
        layers(),
        files.find((file) => new RegExp(`-${last}-\\w+\\.tar$`).test(file)) ??
          "",
      );
    await rm(fileOf("cloud_init"));
    await writeFile(fileOf("cloud_kernel"), "altered");
    const { phases, sha256 } = await build();
    expect(phases).toContain("shared packages");
    expect(sha256).toBe(first);
  });
});
