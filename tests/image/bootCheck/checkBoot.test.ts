/** Real machines in a real qemu, too small to need a system: a second or two each. */

import { access, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { probe } from "../../../infra/image/bootCheck/acceleration.ts";
import { checkBoot } from "../../../infra/image/bootCheck/checkBoot.ts";
import type { BootCheckRequest } from "../../../infra/image/bootCheck/request.ts";
import {
  definitionWith,
  diskOf,
  requestFor,
  withDirectory,
} from "./fixtures.ts";
import { sectorThat } from "./sectors.ts";

const never = new AbortController().signal;

/** What a check of that boot sector says, and leaves behind. */
interface Outcome {
  readonly message: string;
  readonly console: string;
  readonly junit: string;
  /** The first bytes of the picture. */
  readonly picture: string;
  readonly seconds: number;
}

async function check(
  sector: Uint8Array,
  changes: Partial<BootCheckRequest> = {},
): Promise<Outcome> {
  let outcome: Outcome | undefined;
  await withDirectory(async (directory) => {
    const disk = await diskOf(directory, sector);
    const before = await stat(disk);
    const startedAt = performance.now();
    const request = requestFor(directory, disk, changes);
    const message = await checkBoot(request, never).then(
      () => "passed",
      (error: Error) => `${error.name}: ${error.message}`,
    );
    const seconds = (performance.now() - startedAt) / 1000;
    expect((await stat(disk)).mtimeMs).toBe(before.mtimeMs);
    expect(await readdir(request.workDirectory)).toEqual([]);
    const output = join(request.outputDirectory, request.firmware);
    const picture = await readFile(`${output}.png`);
    outcome = {
      message,
      console: await readFile(`${output}.log`, "latin1"),
      junit: await readFile(`${output}.xml`, "utf8"),
      picture: picture.subarray(1, 4).toString("latin1"),
      seconds,
    };
  });
  if (outcome === undefined) throw new Error("Nothing was checked.");
  return outcome;
}

function limitedTo(timeoutSeconds: number) {
  return { definition: definitionWith({ timeoutSeconds }) };
}

describe.concurrent("a boot check fails", () => {
  test("on a blank disk, as soon as the BIOS gives up", async () => {
    const { message, console, junit, picture, seconds } = await check(
      new Uint8Array(512),
    );
    expect(message).toMatch(
      /^BootCheckError: debian-13-nocloud-amd64 failed its boot check by bios after \d+ s\.\nNot proved: the kernel starts: the console shows firmware that finds nothing to boot: No bootable device\./,
    );
    expect(message).toMatch(
      /Whole console: \/.*\/output\/bios\.log\nDisplay: \/.*\/output\/bios\.png$/,
    );
    expect(console).toContain("Booting from Hard Disk");
    expect(junit).toContain('failures="1"');
    expect(picture).toBe("PNG");
    expect(seconds).toBeLessThan(15);
  });

  test("on a kernel panic, with the lines around it", async () => {
    const text =
      "[    1.000000] Linux version 6.12\r\n[    1.200000] VFS: bad luck\r\n[    1.500000] Kernel panic - not syncing: no init\r\n[    1.600000] ---[ end\r\n";
    const { message, console } = await check(
      sectorThat("hang", { port: "console", text }),
    );
    expect(message).toContain(
      "Not proved: systemd finishes starting: the console shows a kernel panic: [    1.500000] Kernel panic - not syncing: no init.",
    );
    expect(message).toContain("    [    1.200000] VFS: bad luck\n");
    expect(message).toContain("    [    1.600000] ---[ end\n");
    expect(console.startsWith(text)).toBe(true);
  });

  test("on a hang, at the time limit", async () => {
    const { message, seconds } = await check(
      sectorThat("hang", { port: "console", text: "Loading..." }),
      limitedTo(3),
    );
    expect(message).toContain(
      "Not proved: the kernel starts: the guest was not done within 3 s.",
    );
    expect(message).toContain("    Loading...\n");
    expect(seconds).toBeGreaterThan(3);
    expect(seconds).toBeLessThan(10);
  });

  test("on a reset instead of another boot", async () => {
    const { message } = await check(sectorThat("reset"));
    expect(message).toContain(
      "Not proved: the kernel starts: the guest reset the machine instead of going on.",
    );
  });

  test("on a machine that is switched off without a report", async () => {
    const { message } = await check(
      sectorThat("off", {
        port: "console",
        text: "[    1.000000] reboot: Power down\r\n",
      }),
    );
    expect(message).toContain(
      "Not proved: systemd finishes starting: the guest switched itself off before it had reported.",
    );
  });

  test("on a report that somebody made up", async () => {
    const text = `\nBOOT-CHECK-STARTED ${"0".repeat(32)}\n`;
    const { message } = await check(
      sectorThat("hang", { port: "report", text }),
    );
    expect(message).toContain(
      "Not proved: the kernel starts: its report is not valid: it does not carry this run's nonce.",
    );
  });

  test("on a blank disk by UEFI", async () => {
    const { message } = await check(new Uint8Array(512), { firmware: "uefi" });
    expect(message).toMatch(
      /the console shows (UEFI failing to start the image|firmware that finds nothing to boot): /,
    );
  });
});

test("a boot check ends when it is cancelled, and leaves no directory", async () => {
  await withDirectory(async (directory) => {
    const disk = await diskOf(directory, sectorThat("hang"));
    const request = requestFor(directory, disk);
    const cancelled = AbortSignal.timeout(1_500);
    await expect(checkBoot(request, cancelled)).rejects.toThrow(
      "aborted due to timeout",
    );
    expect(await readdir(request.workDirectory)).toEqual([]);
    await expect(access(disk)).resolves.toBeUndefined();
  });
});

test.each(["bios", "uefi-secure-boot"] as const)(
  "translation passes for working acceleration on the machine for %s",
  async (firmware) => {
    await withDirectory(async (directory) => {
      const machine = {
        acceleration: "tcg",
        architecture: "amd64",
        firmware,
      } as const;
      expect(await probe(machine, directory, never)).toBe(true);
    });
  },
);
