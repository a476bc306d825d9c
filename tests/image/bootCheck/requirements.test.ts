import { describe, expect, test } from "vitest";
import type { Architecture } from "../../../infra/definitions/definition.ts";
import {
  type Host,
  requireAll,
  thisHost,
} from "../../../infra/image/bootCheck/requirements.ts";
import {
  definitionWith,
  diskOf,
  requestFor,
  withDirectory,
} from "./fixtures.ts";

const sector = new Uint8Array(512);

/** The problem with a host that differs from this one. */
async function problemWith(
  changes: Partial<Host>,
  bootCheck: Parameters<typeof definitionWith>[0] = {},
  architecture: Architecture = "amd64",
): Promise<string> {
  let problem = "none";
  await withDirectory(async (directory) => {
    const definition = { ...definitionWith(bootCheck), architecture };
    const disk = await diskOf(directory, sector);
    const request = requestFor(directory, disk, { definition });
    const host = { ...thisHost(), ...changes };
    await requireAll(request, host).catch((error: Error) => {
      problem = `${error.name}: ${error.message}`;
    });
  });
  return problem;
}

describe("before a boot check starts", () => {
  test("this machine will do", async () => {
    expect(await problemWith({})).toBe("none");
  });

  test("too little memory is refused, with the numbers", async () => {
    expect(
      await problemWith({ availableMemoryMiB: 319 }, { memoryMiB: 64 }),
    ).toBe(
      "UserError: The boot check of debian-13-nocloud-amd64 needs 320 MiB of memory (64 for the guest, 256 for qemu), and 319 MiB are available. Run fewer builds at once, or lower bootCheck.memoryMiB in its definition.",
    );
    expect(
      await problemWith({ availableMemoryMiB: 320 }, { memoryMiB: 64 }),
    ).toBe("none");
  });

  test("a missing program is named with its package", async () => {
    expect(await problemWith({ path: "/nonexistent" })).toBe(
      "UserError: A boot check of amd64 needs qemu-system-x86_64, which is not on PATH. Install the Debian package qemu-system-x86.",
    );
  });

  test.each([
    ["arm64", "qemu-system-aarch64", "qemu-system-arm"],
    ["ppc64el", "qemu-system-ppc64", "qemu-system-ppc"],
    ["riscv64", "qemu-system-riscv64", "qemu-system-riscv64"],
  ] as const)(
    "an image for %s needs %s, which %s brings",
    async (architecture, program, debianPackage) => {
      const path = { path: "/nonexistent" };
      expect(await problemWith(path, {}, architecture)).toBe(
        `UserError: A boot check of ${architecture} needs ${program}, which is not on PATH. Install the Debian package ${debianPackage}.`,
      );
    },
  );

  test("a disk smaller than the image is refused", async () => {
    expect(await problemWith({}, { diskSizeGiB: 0.0001 })).toMatch(
      /^UserError: The boot check of .* gives it a disk of 0\.0001 GiB/,
    );
  });
});
