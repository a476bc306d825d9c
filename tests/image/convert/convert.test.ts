/** Conversions of a small disk, with the real programs, and what becomes of one that went wrong. */

import { copyFile, mkdir, open, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RawImage } from "../../../infra/image/convert/rawImage.ts";
import { convertImage, readBackImage } from "../../../infra/image/convert.ts";
import { sha256OfFile } from "../../../infra/store/digest.ts";
import { type Format, formats } from "../../../infra/store/records.ts";
import { makeDisk, marks, rawImage, withDirectory } from "./disks.ts";

let directory: string;
let raw: RawImage;
let end: () => void;
let ended: Promise<void>;

/** Where the converted disk is. */
const fileOf = (format: Format) => join(directory, `disk.${format}`);

beforeAll(async () => {
  await new Promise<void>((begun) => {
    ended = withDirectory(async (place) => {
      directory = place;
      raw = await makeDisk(place);
      for (const format of formats) {
        await convertImage(raw, fileOf(format), format);
      }
      begun();
      await new Promise<void>((resolve) => {
        end = resolve;
      });
    });
    ended.catch(begun);
  });
});
afterAll(async () => {
  end?.();
  await ended;
});

/** The disk again, with other holes in its file. */
async function withoutHoles(place: string): Promise<RawImage> {
  const path = join(place, "disk.raw");
  await execa("cp", ["--sparse=never", raw.path, path]);
  return rawImage(path);
}

describe.each(formats)("%s", (format) => {
  it("is the same for the same disk, wherever that has its holes", async () => {
    await withDirectory(async (place) => {
      const other = await withoutHoles(place);
      expect(other.sha256).toBe(raw.sha256);
      const path = join(place, `disk.${format}`);
      await convertImage(other, path, format);
      expect(await sha256OfFile(path)).toEqual(
        await sha256OfFile(fileOf(format)),
      );
    });
  });

  it("leaves nothing but itself", async () => {
    await withDirectory(async (place) => {
      await mkdir(join(place, "own"));
      await convertImage(raw, join(place, "own", `disk.${format}`), format);
      const { stdout } = await execa("ls", ["-A", join(place, "own")]);
      expect(stdout).toBe(`disk.${format}`);
    });
  });

  it.each<[string, (path: string) => Promise<void>]>([
    [
      "one byte was altered",
      async (path) => {
        const { size } = await stat(path);
        await using file = await open(path, "r+");
        const at = Math.floor(size / 2);
        const byte = Buffer.alloc(1);
        await file.read(byte, 0, 1, at);
        byte[0] = ~(byte[0] ?? 0);
        await file.write(byte, 0, 1, at);
      },
    ],
    [
      "it was cut short",
      async (path) => {
        await truncate(path, Math.floor((await stat(path)).size / 2));
      },
    ],
    ["it is empty", (path) => truncate(path, 0)],
  ])("is refused when %s", async (_what, damage) => {
    await withDirectory(async (place) => {
      const path = join(place, `disk.${format}`);
      await copyFile(fileOf(format), path);
      await damage(path);
      await expect(readBackImage(raw, path, format)).rejects.toThrow(
        new RegExp(`^${format} made of \\S+ cannot be read back: `),
      );
    });
  });
});

describe("a sound file of another disk", () => {
  it.each<[Format, RegExp]>([
    ["tar.zst", /: it holds a disk of sha256 [0-9a-f]{64}, not [0-9a-f]{64}/],
    ["tar.xz", /: it holds a disk of sha256 /],
    ["tar.gz", /: it holds a disk of sha256 /],
    ["qcow2", /: it does not hold the same disk: Content mismatch at offset/],
    ["vmdk", /: it does not hold the same disk: Content mismatch at offset/],
    ["vhd", /: it does not hold the same disk: Content mismatch at offset/],
    [
      "root.tar.zst",
      /: it lists other files, owners, permissions or dates than the disk/,
    ],
    [
      "oci.tar",
      /: it lists other files, owners, permissions or dates than the disk/,
    ],
  ])("is refused as %s", async (format, message) => {
    await withDirectory(async (place) => {
      const other = await makeDisk(place, [...marks, "sif /bin/su uid 0"]);
      await expect(
        readBackImage(other, fileOf(format), format),
      ).rejects.toThrow(message);
    });
  });

  it("is refused as a tar of files when only an extended attribute differs", async () => {
    await withDirectory(async (place) => {
      const other = await makeDisk(place, [
        ...marks,
        "ea_set /etc/hostname user.origin there",
      ]);
      await expect(
        readBackImage(other, fileOf("root.tar.zst"), "root.tar.zst"),
      ).rejects.toThrow(/: it has other bytes than an archive of the disk/);
    });
  });
});

describe("a raw image", () => {
  it.each(["qcow2", "tar.zst"] as const)(
    "that is not what its sha256 says is refused as %s",
    async (format) => {
      const wrong = { ...raw, sha256: "0".repeat(64) as RawImage["sha256"] };
      await withDirectory(async (place) => {
        const path = join(place, `disk.${format}`);
        await expect(convertImage(wrong, path, format)).rejects.toThrow(
          /sha256/,
        );
      });
    },
  );

  it("that is missing is named", async () => {
    await withDirectory(async (place) => {
      const path = join(place, "none.raw");
      for (const format of formats) {
        await expect(
          convertImage({ ...raw, path }, join(place, format), format),
        ).rejects.toThrow(`${format} could not be made of ${path}: `);
      }
    });
  });

  it("of a size that Azure does not take is refused as vhd", async () => {
    await withDirectory(async (place) => {
      const path = join(place, "odd.raw");
      await copyFile(raw.path, path);
      await truncate(path, 24 * 1024 * 1024 + 512);
      await expect(
        convertImage(await rawImage(path), join(place, "disk.vhd"), "vhd"),
      ).rejects.toThrow(/whole mebibytes, and Azure takes no other/);
    });
  });
});

describe("what others see in the files", () => {
  it("is one sparse member, disk.raw, in the older GNU form", async () => {
    for (const format of ["tar.zst", "tar.xz", "tar.gz"] as const) {
      const { stdout } = await execa("tar", ["-tvf", fileOf(format)]);
      expect(stdout).toMatch(/^-rw-r--r-- \S+ +25165824 \S+ \S+ disk\.raw$/);
    }
    await withDirectory(async (place) => {
      await execa("tar", ["-xf", fileOf("tar.gz"), "-C", place]);
      const unpacked = join(place, "disk.raw");
      expect((await sha256OfFile(unpacked)).sha256).toBe(raw.sha256);
      const { blocks, size } = await stat(unpacked);
      expect(blocks * 512).toBeLessThan(size / 2);
    });
  });

  it("is a VHD of fixed size whose holes cost nothing", async () => {
    const { stdout } = await execa("qemu-img", [
      ...["info", "-f", "vpc", "--output=json", fileOf("vhd")],
    ]);
    expect(JSON.parse(stdout)["virtual-size"]).toBe(24 * 1024 * 1024);
    const { blocks, size } = await stat(fileOf("vhd"));
    expect(size).toBe(24 * 1024 * 1024 + 512);
    expect(blocks * 512).toBeLessThan(size / 2);
  });

  it("is a stream-optimised VMDK", async () => {
    const { stdout } = await execa("qemu-img", [
      ...["info", "--output=json", fileOf("vmdk")],
    ]);
    expect(JSON.parse(stdout)["format-specific"].data["create-type"]).toBe(
      "streamOptimized",
    );
  });

  it("is a qcow2 compressed by zstd", async () => {
    const { stdout } = await execa("qemu-img", [
      ...["info", "--output=json", fileOf("qcow2")],
    ]);
    expect(JSON.parse(stdout)["format-specific"].data["compression-type"]).toBe(
      "zstd",
    );
  });

  it("is an OCI image whose layer has the files", async () => {
    const document = async (name: string) =>
      JSON.parse(
        (await execa("tar", ["-xOf", fileOf("oci.tar"), name])).stdout,
      );
    const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`;
    expect(await document("oci-layout")).toEqual({
      imageLayoutVersion: "1.0.0",
    });
    const [described] = (await document("index.json")).manifests;
    expect(described.platform).toEqual({ architecture: "amd64", os: "linux" });
    const manifest = await document(blob(described.digest));
    const config = await document(blob(manifest.config.digest));
    expect(config).toMatchObject({ architecture: "amd64", os: "linux" });
    await withDirectory(async (place) => {
      const layer = join(place, "layer.tar.zst");
      await execa(
        "tar",
        ["-xOf", fileOf("oci.tar"), blob(manifest.layers[0].digest)],
        { stdout: { file: layer }, buffer: false },
      );
      expect((await stat(layer)).size).toBe(manifest.layers[0].size);
      await execa("zstd", ["-qd", layer]);
      const { sha256 } = await sha256OfFile(join(place, "layer.tar"));
      expect(config.rootfs.diff_ids).toEqual([`sha256:${sha256}`]);
      const files = await execa("tar", ["-xOf", layer, "bin/third-name"]);
      expect(files.stdout).toBe("localhost");
    });
  });

  it("names the architecture as Go does", async () => {
    await withDirectory(async (place) => {
      const path = join(place, "disk.oci.tar");
      const foreign = {
        ...raw,
        architecture: "ppc64el",
      } as unknown as RawImage;
      await convertImage(foreign, path, "oci.tar");
      const { stdout } = await execa("tar", ["-xOf", path, "index.json"]);
      expect(stdout).toContain('"architecture":"ppc64le"');
    });
  });
});
