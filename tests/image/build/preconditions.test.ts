import { existsSync } from "node:fs";
import { release } from "node:os";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import type { DefinitionName } from "../../../infra/definitions/definition.ts";
import { subordinateIds } from "../../../infra/image/build/preconditions.ts";
import { smallestProgram } from "../../../infra/image/build/smallestProgram.ts";
import { isNative } from "../../../infra/image/nativeArchitecture.ts";
import { definitionWith } from "../../definitions/fixtures.ts";
import { type Machine, verdictOn } from "./machine.ts";

/** Machines that have registered emulators for everybody: their builds get by without one of their own. */
const hasForeignPrograms = existsSync("/proc/sys/fs/binfmt_misc/status");

/** From Linux 6.7 on, a user namespace has binary formats of its own. */
const [major = 0, minor = 0] = release().split(".").map(Number);
const namespacesHaveFormats = major > 6 || (major === 6 && minor >= 7);

/** Fewer than any of the smallest programs has of instructions. */
const smallestCodeBytes = 12;

describe("the subordinate ids of a user", () => {
  const file = "root:100000:65536\nbuilder:165536:1000\n1001:200000:65536\n";

  it("are found by name and by number", () => {
    expect(subordinateIds(file, "root", 0)).toBe(65_536);
    expect(subordinateIds(file, "other", 1001)).toBe(65_536);
  });

  it("may be too few, or none", () => {
    expect(subordinateIds(file, "builder", 1000)).toBe(1000);
    expect(subordinateIds(file, "nobody", 65_534)).toBe(0);
    expect(subordinateIds("", "root", 0)).toBe(0);
  });
});

describe("before a build starts", () => {
  const definition = definitionWith({ disk: { sizeGiB: 1 } });
  const ids = "root:100000:65536\nbuilder:165536:65536\n";
  /** An ordinary user, who has all that it takes. */
  const ordinary = {
    "/etc/passwd": "root:x:0:0::/:/bin/sh\nbuilder:x:1000:1000::/:/bin/sh\n",
    "/etc/subuid": ids,
    "/etc/subgid": ids,
  };
  const verdict = (machine: Machine) => verdictOn(machine, definition);

  it("a machine that has everything will do, for root and for others", async () => {
    expect(await verdict({ files: ordinary })).toBe("fine");
    expect(await verdict({ files: ordinary, uid: 1000 })).toBe("fine");
  });

  it.each([
    ["fai", "fai-client"],
    ["mmdebstrap", "mmdebstrap"],
    ["newuidmap", "uidmap"],
    ["mkfs.vfat", "dosfstools"],
    ["qemu-img", "qemu-utils"],
    ["zstd", "zstd"],
  ])(
    "a missing %s is answered with its package, %s",
    async (program, debianPackage) => {
      const files = { ...ordinary, [await pathOf(program)]: "" };
      expect(await verdict({ files })).toBe(
        `UserError: This machine lacks what builds images. Run scripts/up, or: apt-get install ${debianPackage}`,
      );
    },
  );

  it("all missing programs are named at once", async () => {
    const files = {
      ...ordinary,
      [await pathOf("fai")]: "",
      [await pathOf("mcopy")]: "",
    };
    expect(await verdict({ files })).toMatch(
      /apt-get install fai-client mtools$/,
    );
  });

  it.each([
    ["no range in subuid", "/etc/subuid", "root:100000:65536\n"],
    ["a short range in subuid", "/etc/subuid", "builder:165536:1000\n"],
    ["no range in subgid", "/etc/subgid", ""],
  ])(
    "an ordinary user with %s is told how to get one",
    async (_what, path, text) => {
      const files = { ...ordinary, [path]: text };
      expect(await verdict({ files, uid: 1000 })).toBe(
        `UserError: ${path} gives builder fewer than 65536 subordinate ids, which a build without privileges needs. ` +
          "Run scripts/up, or as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 builder",
      );
    },
  );

  /** Machines that run no programs of an architecture, or all that an interpreter is told of. */
  describe("for another architecture", () => {
    const foreign = definitionWith({
      name: "debian-13-tiny-arm64" as DefinitionName,
      architecture: isNative("arm64") ? "amd64" : "arm64",
    });
    const own = isNative("arm64") ? "arm64" : "amd64";
    const qemu = isNative("arm64") ? "qemu-x86_64" : "qemu-aarch64";
    /** What tells programs of the architecture from others is their 19th byte. */
    const registration = `:${qemu}:M:18:\\x${isNative("arm64") ? "3e" : "b7"}::/usr/lib/binfmt.d/interpreter:`;
    const verdictWith = (
      registered: Readonly<Record<string, Uint8Array | string>>,
    ) =>
      verdictOn(
        { files: ordinary, directories: { "/usr/lib/binfmt.d": registered } },
        foreign,
      );

    it.skipIf(hasForeignPrograms)(
      "a machine without an emulator is refused, with the cure and the runner that can",
      async () => {
        expect(await verdictWith({})).toBe(
          `UserError: debian-13-tiny-arm64 cannot be built here, as this machine cannot run ${foreign.architecture} programs: ` +
            `/usr/lib/binfmt.d/${qemu}.conf is missing. Install an emulator (apt-get install qemu-user-static); ` +
            "before Linux 6.7 the machine has to register it as well (apt-get install binfmt-support). " +
            `Or build it on a runner with the tag ${foreign.architecture}.`,
        );
      },
    );

    it.skipIf(hasForeignPrograms || !namespacesHaveFormats)(
      "one with an emulator that works will do, and one with an emulator that does not will not",
      async () => {
        const emulator = (interpreter: Uint8Array) => ({
          [`${qemu}.conf`]: registration,
          interpreter,
        });
        // It ends with the code that the program it is given would end with.
        expect(await verdictWith(emulator(smallestProgram(own)))).toBe("fine");
        const broken = smallestProgram(own);
        broken.fill(0xf4, broken.length - smallestCodeBytes);
        expect(await verdictWith(emulator(broken))).toContain(
          `the interpreter of /usr/lib/binfmt.d/${qemu}.conf was registered and does not work.`,
        );
      },
    );
  });

  it("too little disk is refused, with the numbers", async () => {
    expect(await verdict({ files: ordinary, diskMiB: 512 })).toMatch(
      /^UserError: debian-13-tiny-amd64 may need 1 GiB of disk in \S+\/output, and 0\.5 GiB are free\. Make room, or put the store elsewhere \(cloud-images:store/,
    );
    expect(await verdict({ files: ordinary, diskMiB: 1025 })).toBe("fine");
  });
});

/** Where a program of this machine is. */
async function pathOf(program: string): Promise<string> {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`;
  const { stdout } = await execa("which", [program], { env: { PATH: path } });
  return (await execa("realpath", [stdout])).stdout;
}
