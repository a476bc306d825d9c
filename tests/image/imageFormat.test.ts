/** Formats of an image that is in a store, made by the real programs. */

import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BuildError } from "../../infra/errors.ts";
import { implementation as image } from "../../infra/image/faiImageProvider.ts";
import { implementation as imageFormat } from "../../infra/image/imageFormatProvider.ts";
import { DirectoryStore } from "../../infra/store/directoryStore.ts";
import { readFormat, writeBuild } from "../../infra/store/documents.ts";
import type { BuildRecord, Format } from "../../infra/store/records.ts";
import type { Sha256 } from "../../infra/store/store.ts";
import { sampleBuild } from "../store/records.ts";
import { makeDisk, withDirectory } from "./convert/disks.ts";

const stack = "organization/cloud-images/one";
const elsewhere = "/nonexistent";

/** Runs `use` with a store that has a small image and no format of it. */
async function withImage(
  use: (
    store: DirectoryStore,
    build: BuildRecord,
    top: string,
  ) => Promise<void>,
): Promise<void> {
  await withDirectory(async (top) => {
    const store = new DirectoryStore(join(top, "store"));
    const disk = await makeDisk(top);
    const raw = await store.withIncoming(async (directory) => {
      const path = join(directory, "disk.raw");
      await copyFile(disk.path, path);
      return store.adopt(path);
    });
    const build = sampleBuild(raw);
    await writeBuild(store, build);
    await use(store, build, top);
  });
}

function inputsFor(store: DirectoryStore, build: BuildRecord, format: Format) {
  return {
    ...{ store: store.location, key: build.key, label: "an image", format },
    rawSha256: build.raw.sha256,
  };
}

/** What tells that a file was written anew. */
async function identityOf(store: DirectoryStore, sha256: string) {
  const { ino, mtimeMs } = await stat(await store.file(sha256 as Sha256));
  return { ino, mtimeMs };
}

beforeEach(() => {
  vi.spyOn(console, "log").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe("one more format", () => {
  it("is made of the image as it is; the image and its other formats are left alone", async () => {
    await withImage(async (store, build) => {
      const before = await imageFormat.create(inputsFor(store, build, "qcow2"));
      const qcow2 = await identityOf(store, before.outputs.sha256 ?? "");

      // An image that had to be built would fail: there is no config space.
      const built = await image.create({
        ...{ stack, key: build.key, store: store.location },
        ...{ definition: build.definition, archive: build.archive },
        ...{ configSpace: elsewhere, cache: elsewhere, logs: elsewhere },
      });
      const wanted: Format[] = ["qcow2", "vhd", "oci.tar"];
      const made = await Promise.all(
        wanted.map((format) =>
          imageFormat.create(inputsFor(store, build, format)),
        ),
      );

      expect(built.outputs.rawSha256).toBe(build.raw.sha256);
      expect(made[0]?.outputs).toEqual(before.outputs);
      expect(await identityOf(store, before.outputs.sha256 ?? "")).toEqual(
        qcow2,
      );
      for (const [index, format] of wanted.entries()) {
        const record = await readFormat(store, build.key, format);
        expect(record?.artifact.sha256).toBe(made[index]?.outputs.sha256);
        expect(record?.rawSha256).toBe(build.raw.sha256);
      }
      expect(await readdir(join(store.location, "artifacts"))).toHaveLength(4);
      expect(await readdir(store.location)).not.toContain("incoming");
    });
  });

  it("that is lost is made again, the same", async () => {
    await withImage(async (store, build) => {
      const inputs = inputsFor(store, build, "vmdk");
      const { id, outputs } = await imageFormat.create(inputs);
      await store.discard(outputs.sha256 as Sha256);
      const found = (await imageFormat.read(id, outputs)) ?? outputs;
      expect(found.problems).toEqual(["the vmdk file in the store is missing"]);
      expect(await imageFormat.update(id, found, inputs)).toEqual(outputs);
    });
  });
});

describe("a conversion that goes wrong", () => {
  /** A program that does what the real one does, and then something else to the file that it was given last. */
  async function breakProgram(top: string, name: string, damage: string) {
    const bin = join(top, "bin");
    await mkdir(bin);
    const script = `#!/bin/sh
real=$(PATH=\${PATH#*:} command -v ${name})
"$real" "$@" || exit
[ "$1" = convert ] || exit 0
for file; do :; done
${damage}
`;
    await writeFile(join(bin, name), script);
    await chmod(join(bin, name), 0o755);
    vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
  }

  it.each([
    [
      "writes another disk",
      'qemu-io -c "write -P 120 4096 512" "$file" >/dev/null',
    ],
    ["loses its end", 'truncate --size=-1000000 "$file"'],
  ])("and %s leaves nothing in the store", async (_what, damage) => {
    await withImage(async (store, build, top) => {
      const before = await readdir(store.location, { recursive: true });
      await breakProgram(top, "qemu-img", damage);
      const made = imageFormat.create(inputsFor(store, build, "qcow2"));
      const error: unknown = await made.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(BuildError);
      expect((error as Error).message).toMatch(
        /^qcow2 made of \S+ cannot be read back: /,
      );
      expect(await readdir(store.location, { recursive: true })).toEqual(
        before,
      );
      expect(await readFormat(store, build.key, "qcow2")).toBeUndefined();
    });
  });

  it("because a program is missing names it", async () => {
    await withImage(async (store, build, top) => {
      vi.stubEnv("PATH", top);
      await expect(
        imageFormat.create(inputsFor(store, build, "qcow2")),
      ).rejects.toThrow(/qcow2 could not be made of .*qemu-img/s);
    });
  });
});
