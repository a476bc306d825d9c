import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BootCheckError, StoreError } from "../../../infra/errors.ts";
import { implementation } from "../../../infra/platforms/directory/directoryPublicationProvider.ts";
import {
  type DirectoryPublicationInputs,
  examine,
  publish,
  withdraw,
} from "../../../infra/platforms/directory/publication.ts";
import { DirectoryStore } from "../../../infra/store/directoryStore.ts";
import {
  listPublications,
  readBuild,
  writeBuild,
} from "../../../infra/store/documents.ts";
import { type Format, formats } from "../../../infra/store/records.ts";
import { runUntilReady } from "../../store/killed.ts";
import {
  type SampleImage,
  sampleDefinition,
  sampleKey,
  storeArtifact,
  storeBootCheck,
  storeBuild,
  usualFormats,
} from "../../store/records.ts";

/** A file system in memory, where syncing costs nothing. */
const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

let top: string;
let root: string;
let store: DirectoryStore;

beforeEach(async () => {
  top = await mkdtemp(join(memory, "publication-"));
  root = join(top, "public");
  store = new DirectoryStore(join(top, "store"));
});
afterEach(() => rm(top, { recursive: true, force: true }));

const image = "trixie/20261121-1/debian-13-genericcloud-amd64-20261121-1";

/** What a resource for the sample is given. */
function inputsFor(sample: SampleImage = {}): DirectoryPublicationInputs {
  const { name, release, bootCheck } = sampleDefinition(sample);
  return {
    stack: "organization/cloud-images/local",
    root,
    store: store.location,
    key: sampleKey(sample),
    version: (sample.version ??
      "20261121-1") as DirectoryPublicationInputs["version"],
    release: release.codename,
    channel: sample.channel ?? "release",
    definition: name,
    formats: sample.formats ?? usualFormats,
    firmware: bootCheck.firmware,
  };
}

async function publishNew(sample: SampleImage = {}) {
  await storeBuild(store, sample);
  await publish(inputsFor(sample));
  return inputsFor(sample);
}

/** Overwrites a published file, as somebody with an editor would. */
async function alter(path: string) {
  await chmod(join(root, path), 0o644);
  await writeFile(join(root, path), "altered");
}

/** Every path below a directory, hidden ones too. */
async function tree(directory: string): Promise<string[]> {
  return (await readdir(directory, { recursive: true })).sort();
}

/** Every file and link below a directory, with what changes when it is written anew. */
async function filesOf(directory: string) {
  const all = await Promise.all(
    (await tree(directory)).map(async (path) => ({
      path,
      status: await lstat(join(directory, path)),
    })),
  );
  return all
    .filter(({ status }) => !status.isDirectory())
    .map(({ path, status }) => [path, status.ino, status.mtimeMs]);
}

function checkSums(directory: string): string {
  return execFileSync("sha512sum", ["--check", "--strict", "SHA512SUMS"], {
    cwd: join(root, directory),
    encoding: "utf8",
  });
}

describe("a published image", () => {
  it("has its formats, manifest, packages and boot checks, read-only", async () => {
    await publishNew();
    const names = await readdir(dirname(join(root, image)));
    expect(names.sort()).toEqual([
      "SHA512SUMS",
      "debian-13-genericcloud-amd64-20261121-1.boot-bios.log",
      "debian-13-genericcloud-amd64-20261121-1.boot-bios.png",
      "debian-13-genericcloud-amd64-20261121-1.boot-bios.xml",
      "debian-13-genericcloud-amd64-20261121-1.boot-uefi.log",
      "debian-13-genericcloud-amd64-20261121-1.boot-uefi.png",
      "debian-13-genericcloud-amd64-20261121-1.boot-uefi.xml",
      "debian-13-genericcloud-amd64-20261121-1.json",
      "debian-13-genericcloud-amd64-20261121-1.packages.txt",
      "debian-13-genericcloud-amd64-20261121-1.qcow2",
      "debian-13-genericcloud-amd64-20261121-1.tar.zst",
    ]);
    const { mode } = await stat(join(root, `${image}.qcow2`));
    expect(mode & 0o777).toBe(0o444);
    expect(await readFile(join(root, `${image}.packages.txt`), "utf8")).toMatch(
      /^adduser\t3\.152\tall\n/,
    );
  });

  it("has whatever formats it is asked for, and changes when that does", async () => {
    const all = await publishNew({ formats });
    const names = async () =>
      (await readdir(dirname(join(root, image)))).join(" ");
    for (const format of formats) {
      expect(await names()).toContain(`-20261121-1.${format}`);
    }
    const manifest = await readFile(join(root, `${image}.json`), "utf8");
    const labels = JSON.parse(manifest)
      .items.slice(1)
      .map(
        (item: { metadata: { labels: Record<string, string> } }) =>
          item.metadata.labels["upload.cloud.debian.org/image-format"],
      );
    expect(labels).toEqual([
      ...["internal", "qcow2", "internal", "tar.gz", "vmdk", "vhd"],
      ...["root.tar", "oci"],
    ]);
    expect(await readFile(join(root, "index.html"), "utf8")).toMatch(
      new RegExp(`href="${image}\\.oci\\.tar" type="application/x-tar"`),
    );
    expect(await examine(all)).toEqual([]);

    const one: readonly Format[] = ["vhd"];
    const { ino } = await stat(join(root, `${image}.vhd`));
    await publish({ ...all, formats: one });
    expect(await examine({ ...all, formats: one })).toEqual([]);
    expect(await names()).not.toMatch(/qcow2|\.tar/);
    expect((await stat(join(root, `${image}.vhd`))).ino).toBe(ino);
    checkSums("trixie/latest");
  });

  it("is a copy, so that writing to it leaves the store alone", async () => {
    await publishNew();
    const { nlink } = await stat(join(root, `${image}.qcow2`));
    expect(nlink).toBe(1);
  });

  it("says in its manifest where its files are", async () => {
    await publishNew();
    const text = await readFile(join(root, `${image}.json`), "utf8");
    const refs = JSON.parse(text).items.slice(1).map(refOf);
    expect(refs).toEqual([`${image}.tar.zst`, `${image}.qcow2`]);
    function refOf(item: { data: { ref: string } }) {
      return item.data.ref;
    }
  });

  it("passes sha512sum, by its dated name and by latest", async () => {
    await publishNew();
    await publishNew({ variant: "nocloud" });
    expect(checkSums("trixie/20261121-1").split("\n")).toHaveLength(21);
    expect(checkSums("trixie/latest")).toMatch(
      /^debian-13-genericcloud-amd64\.qcow2: OK$/m,
    );
  });

  it("tells the resource little", async () => {
    await storeBuild(store);
    const published = await publish(inputsFor());
    expect(published.files.slice(0, 3)).toEqual([
      `${image}.tar.zst`,
      `${image}.qcow2`,
      `${image}.json`,
    ]);
    expect(published.sha512.qcow2).toMatch(/^[0-9a-f]{128}$/);
    expect(JSON.stringify(published).length).toBeLessThan(1500);
  });

  it("is as it should be", async () => {
    expect(await examine(await publishNew())).toEqual([]);
  });

  it("does not change when it is published again", async () => {
    const inputs = await publishNew();
    const before = await filesOf(root);
    const records = await listPublications(store);
    await publish(inputs);
    expect(await filesOf(root)).toEqual(before);
    expect(await listPublications(store)).toEqual(records);
  });
});

describe("what is not proven is not published", () => {
  const refusal = async (inputs: DirectoryPublicationInputs) => {
    const error: unknown = await publish(inputs).catch((e: unknown) => e);
    expect(existsSync(root)).toBe(false);
    return error as Error;
  };

  it("without a build", async () => {
    const error = await refusal(inputsFor());
    expect(error).toBeInstanceOf(StoreError);
    expect(error.message).toMatch(/has no build of key/);
  });

  it("without a format", async () => {
    const { key } = await storeBuild(store);
    await store.remove(`builds/${key}/formats/qcow2.json`);
    const error = await refusal(inputsFor());
    expect(error).toBeInstanceOf(StoreError);
    expect(error.message).toMatch(/its qcow2 was not made/);
  });

  it("without a boot check for every firmware of its definition", async () => {
    const { key } = await storeBuild(store);
    await store.remove(`builds/${key}/boot-checks/uefi.json`);
    const error = await refusal({ ...inputsFor(), firmware: [] });
    expect(error).toBeInstanceOf(BootCheckError);
    expect(error.message).toMatch(/did not pass the boot check with uefi/);
  });

  it("when another raw image was boot-checked", async () => {
    const { key } = await storeBuild(store);
    const other = await storeArtifact(store, "another image");
    await storeBootCheck(store, key, "bios", other.sha256);
    const error = await refusal(inputsFor());
    expect(error).toBeInstanceOf(BootCheckError);
    expect(error.message).toMatch(/with another raw image/);
  });

  it("when the formats are of another raw image", async () => {
    const build = await storeBuild(store);
    const raw = await storeArtifact(store, "another image");
    await writeBuild(store, { ...build, raw });
    const error = await refusal(inputsFor());
    expect(error.message).toMatch(/was made from another raw image/);
  });

  it("when the version is another one than the build's", async () => {
    await storeBuild(store);
    const error = await refusal({
      ...inputsFor(),
      version: "20261122-1" as DirectoryPublicationInputs["version"],
    });
    expect(error).toBeInstanceOf(StoreError);
  });

  it("when an artifact was altered in the store", async () => {
    const { key } = await storeBuild(store);
    const name = `builds/${key}/formats/qcow2.json`;
    const { artifact } = JSON.parse((await store.read(name)) ?? "");
    const path = await store.file(artifact.sha256);
    await chmod(path, 0o644);
    await writeFile(path, "altered");
    const error = await refusal(inputsFor());
    expect(error).toBeInstanceOf(StoreError);
    expect(error.message).toMatch(
      /was altered in the store .* Nothing was published/,
    );
  });
});

describe("somebody else's", () => {
  const refusal = (inputs: DirectoryPublicationInputs) =>
    publish(inputs).catch((error: Error) => error.message);

  it("file in the place of an image stays, and is named", async () => {
    await storeBuild(store);
    await mkdir(dirname(join(root, image)), { recursive: true });
    await writeFile(join(root, `${image}.qcow2`), "mine");
    expect(await refusal(inputsFor())).toContain(`${image}.qcow2 exists`);
    expect(await readFile(join(root, `${image}.qcow2`), "utf8")).toBe("mine");
    expect(await listPublications(store)).toEqual([]);
  });

  it.each(["index.html", "index.json", "trixie/latest/x"])(
    "%s stays, and is named",
    async (path) => {
      await storeBuild(store);
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), "mine");
      const named = path.replace("/x", "");
      expect(await refusal(inputsFor())).toContain(join(root, named));
      expect(await tree(root)).toContain(path);
      expect(await readFile(join(root, path), "utf8")).toBe("mine");
    },
  );

  it("files beside ours stay when all of ours go", async () => {
    const inputs = await publishNew();
    await writeFile(join(root, "robots.txt"), "");
    await writeFile(join(root, "trixie/20261121-1/NOTES"), "");
    await mkdir(join(root, "trixie/.incoming-of-mine"));
    await withdraw(inputs);
    expect(await tree(root)).toEqual([
      "robots.txt",
      "trixie",
      "trixie/.incoming-of-mine",
      "trixie/20261121-1",
      "trixie/20261121-1/NOTES",
    ]);
  });

  it("stack's publication is refused, and not withdrawn", async () => {
    const inputs = await publishNew();
    const other = { ...inputs, stack: "organization/cloud-images/prod" };
    expect(await refusal(other)).toMatch(/is published by the stack .*local/);
    expect(await examine(other)).toEqual([
      expect.stringMatching(/is published by the stack .*local/),
    ]);
    await withdraw(other);
    expect(await examine(inputs)).toEqual([]);
  });

  it("directory may not have the same version of the same store", async () => {
    const inputs = await publishNew();
    const other = { ...inputs, root: join(top, "elsewhere") };
    expect(await refusal(other)).toMatch(/is published in .*public/);
    await withdraw(other);
    expect(await examine(inputs)).toEqual([]);
    expect(existsSync(other.root)).toBe(false);
  });
});

describe("damage", () => {
  it.each([
    `${image}.qcow2`,
    `${image}.json`,
    `${image}.boot-uefi.png`,
    "trixie/20261121-1/SHA512SUMS",
    "trixie/latest",
    "index.html",
    "index.json",
  ])("to %s that is missing is found and mended", async (path) => {
    const inputs = await publishNew();
    await rm(join(root, path));
    expect(await examine(inputs)).toEqual([`${path} is missing`]);
    await publish(inputs);
    expect(await examine(inputs)).toEqual([]);
  });

  it("to a file that was altered is found and mended", async () => {
    const inputs = await publishNew();
    await alter(`${image}.qcow2`);
    expect(await examine(inputs)).toEqual([`${image}.qcow2 was altered`]);
    await publish(inputs);
    expect(await examine(inputs)).toEqual([]);
    expect(checkSums("trixie/20261121-1")).not.toContain("FAILED");
  });

  it("to a view that was altered is found and mended", async () => {
    const inputs = await publishNew();
    const latest = await readlink(join(root, "trixie/latest"));
    await rm(join(root, "trixie", latest, "debian-13-genericcloud-amd64.json"));
    await writeFile(join(root, "index.html"), "Hello");
    await rename(join(root, "index.json"), join(root, "old.json"));
    await symlink("old.json", join(root, "index.json"));
    expect(await examine(inputs)).toEqual([
      "index.html is not what the records give",
      "trixie/latest is not what the records give",
    ]);
    await publish(inputs);
    expect(await examine(inputs)).toEqual([]);
  });

  it("to the record is found and mended", async () => {
    const inputs = await publishNew();
    await store.remove(
      "publications/directory/debian-13-genericcloud-amd64/20261121-1.json",
    );
    expect(await examine(inputs)).toEqual([
      "debian-13-genericcloud-amd64 20261121-1 has no publication record",
    ]);
    await publish(inputs);
    expect(await examine(inputs)).toEqual([]);
  });

  it("is mended without touching what is well", async () => {
    const inputs = await publishNew();
    const { ino } = await stat(join(root, `${image}.tar.zst`));
    await alter(`${image}.qcow2`);
    await publish(inputs);
    expect((await stat(join(root, `${image}.tar.zst`))).ino).toBe(ino);
  });
});

describe("the channels of a release", () => {
  const daily = { channel: "daily" } as const;

  it("have directories, `latest` and manifests of their own", async () => {
    await publishNew(daily);
    expect(await readdir(join(root, "trixie"))).toEqual(["daily"]);
    checkSums("trixie/daily/latest");
    const place = `trixie/daily/20261121-1/debian-13-genericcloud-amd64-20261121-1`;
    const manifest = await readFile(join(root, `${place}.json`), "utf8");
    const { items } = JSON.parse(manifest);
    expect(items[0].data.info.type).toBe("daily");
    expect(items[1].data.ref).toMatch(/^trixie\/daily\//);
    expect(items[1].metadata.labels["upload.cloud.debian.org/type"]).toBe(
      "daily",
    );
  });

  it("can have the same image: one that was promoted from the store, by another stack", async () => {
    const inputs = await publishNew(daily);
    const promoted = {
      ...inputsFor(),
      stack: "organization/cloud-images/release",
    };
    await publish(promoted);
    expect(promoted.key).toBe(inputs.key);
    for (const directory of ["trixie/daily/latest", "trixie/latest"]) {
      checkSums(directory);
    }
    const image = "debian-13-genericcloud-amd64-20261121-1.qcow2";
    expect(await readFile(join(root, "trixie/20261121-1", image))).toEqual(
      await readFile(join(root, "trixie/daily/20261121-1", image)),
    );
    const page = await readFile(join(root, "index.html"), "utf8");
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(ids).toEqual([
      "trixie",
      "debian-13-genericcloud-amd64",
      "trixie-daily",
      "debian-13-genericcloud-amd64-daily",
    ]);

    await withdraw(inputs);
    expect(await readdir(join(root, "trixie"))).not.toContain("daily");
    expect(await examine(promoted)).toEqual([]);
  });

  it("are apart from what was published before there were channels", async () => {
    const { channel, ...old } = await publishNew();
    const [name = ""] = await store.list("publications");
    const record = JSON.parse((await store.read(name)) ?? "");
    await store.write(name, JSON.stringify({ ...record, channel: undefined }));
    await publishNew(daily);
    const outputs = { ...old, problems: [] } as unknown as Parameters<
      typeof implementation.delete
    >[1];
    expect((await implementation.read("", outputs))?.problems).toEqual([]);
    await implementation.delete("", outputs);
    expect(await readdir(join(root, "trixie"))).toEqual(["daily"]);
    expect(await examine(inputsFor(daily))).toEqual([]);
  });
});

describe("several images", () => {
  it("of one release may be published at the same time", async () => {
    const samples = ["genericcloud", "generic", "nocloud", "ec2"].map(
      (variant) => ({ variant }),
    );
    for (const sample of samples) await storeBuild(store, sample);
    await Promise.all(samples.map((sample) => publish(inputsFor(sample))));
    for (const sample of samples) {
      expect(await examine(inputsFor(sample))).toEqual([]);
    }
    expect(checkSums("trixie/20261121-1").match(/: OK/g)).toHaveLength(40);
    expect(checkSums("trixie/latest").match(/: OK/g)).toHaveLength(40);
  });

  it("have latest at the newest of each, counted as numbers", async () => {
    await publishNew({ version: "20261121-10" });
    await publishNew({ version: "20261121-9" });
    await publishNew({ version: "20261120-1", variant: "nocloud" });
    const target = (name: string) =>
      readlink(join(root, "trixie/latest", name));
    expect(await target("debian-13-genericcloud-amd64.qcow2")).toBe(
      "../20261121-10/debian-13-genericcloud-amd64-20261121-10.qcow2",
    );
    expect(await target("debian-13-nocloud-amd64.json")).toBe(
      "../20261120-1/debian-13-nocloud-amd64-20261120-1.json",
    );
    checkSums("trixie/latest");
    const hidden = (await readdir(join(root, "trixie"))).filter((name) =>
      name.startsWith("."),
    );
    expect(hidden).toEqual([await readlink(join(root, "trixie/latest"))]);
  });

  it("go one by one: latest falls back, and the last leaves nothing", async () => {
    const first = await publishNew({ version: "20261120-1" });
    const second = await publishNew({ version: "20261121-1" });
    const other = await publishNew({ release: "bookworm" });
    await withdraw(second);
    expect(existsSync(join(root, "trixie/20261121-1"))).toBe(false);
    expect(
      await readlink(
        join(root, "trixie/latest/debian-13-genericcloud-amd64.qcow2"),
      ),
    ).toBe("../20261120-1/debian-13-genericcloud-amd64-20261120-1.qcow2");
    expect(await examine(first)).toEqual([]);
    await withdraw(first);
    expect(await readdir(root)).toEqual([
      "bookworm",
      "index.html",
      "index.json",
    ]);
    await withdraw(other);
    await withdraw(other);
    expect(existsSync(root)).toBe(false);
  });

  it("are in index.json, newest first, without the publisher's paths", async () => {
    await publishNew({ version: "20261120-1" });
    await publishNew({ version: "20261121-1" });
    const text = await readFile(join(root, "index.json"), "utf8");
    const { publications } = JSON.parse(text);
    expect(
      publications.map(({ version }: { version: string }) => version),
    ).toEqual(["20261121-1", "20261120-1"]);
    expect(publications[0].files[1].path).toBe(`${image}.qcow2`);
    expect(publications[0].builtAt).toBe("2026-11-21T03:12:45.000Z");
    expect(text).not.toContain(top);
  });

  it("in different directories do not see each other", async () => {
    await publishNew();
    const sample = { variant: "nocloud" };
    await storeBuild(store, sample);
    const other = { ...inputsFor(sample), root: join(top, "elsewhere") };
    await publish(other);
    expect(await examine(other)).toEqual([]);
    expect(
      await readFile(join(other.root, "index.json"), "utf8"),
    ).not.toContain("genericcloud");
  });
});

describe("a publisher that is killed", () => {
  const program = (call: string) => `
    import { publish, withdraw } from "./infra/platforms/directory/publication.ts";
    console.log("ready");
    await ${call}(${JSON.stringify(inputsFor())});
  `;

  const killAfter = async (call: string, milliseconds: number) => {
    const child = await runUntilReady(program(call));
    const ended = new Promise((done) => child.once("exit", done));
    await new Promise((done) => setTimeout(done, milliseconds));
    child.kill("SIGKILL");
    await ended;
    // The next run would wait until the dead holder's lock counts as stale; that wait has its own test.
    await rm(join(store.location, "locks"), { recursive: true, force: true });
  };

  it("at any moment leaves what the next run completes", async () => {
    await storeBuild(store);
    for (const milliseconds of [5, 15, 25, 40, 60]) {
      await killAfter("publish", milliseconds);
      await publish(inputsFor());
      expect(await examine(inputsFor())).toEqual([]);
      const names = await tree(top);
      expect(names.filter((name) => name.includes("incoming"))).toEqual([]);
      await withdraw(inputsFor());
      expect(existsSync(root)).toBe(false);
    }
  });

  it("while it withdraws leaves what the next run takes away", async () => {
    await storeBuild(store);
    for (const milliseconds of [5, 20, 40]) {
      await publish(inputsFor());
      await killAfter("withdraw", milliseconds);
      await withdraw(inputsFor());
      expect(existsSync(root)).toBe(false);
    }
    expect(await readBuild(store, sampleKey())).toBeDefined();
  });
});

it("is examined together with others by reading the records of all twice, however many they are", async () => {
  const published: DirectoryPublicationInputs[] = [];
  for (const day of ["21", "22", "23", "24", "25", "26"]) {
    published.push(await publishNew({ version: `202611${day}-1` }));
  }
  const read = vi.spyOn(DirectoryStore.prototype, "read");
  try {
    const found = await Promise.all(published.map(examine));
    expect(found).toEqual(published.map(() => []));
    const records = read.mock.calls.filter(([name]) =>
      name.startsWith("publications/"),
    );
    // Its own record by each; and those of all by the first, and by another one for the rest.
    expect(records.length).toBeLessThanOrEqual(3 * published.length);
  } finally {
    read.mockRestore();
  }
});
