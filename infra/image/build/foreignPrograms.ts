/**
 * Programs of another architecture, run by qemu-user: a build executes package scripts of the image's own.
 *
 * Linux hands a program that is not its own to an interpreter by binfmt_misc. Where the machine has registered
 * none, the build registers one in its own user namespace, which Linux 6.7 and later let root of that namespace
 * do; nobody outside sees it, and it goes with the build.
 */

import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Architecture } from "../../definitions/definition.ts";
import { smallestProgram, smallestProgramCode } from "./smallestProgram.ts";

/** qemu's names for Debian's architectures. */
const qemuNames = {
  amd64: "x86_64",
  arm64: "aarch64",
  ppc64el: "ppc64le",
  riscv64: "riscv64",
} as const satisfies Record<Architecture, string>;

/** Where Linux offers binfmt_misc. */
const mountPoint = "/proc/sys/fs/binfmt_misc";

/** Where Debian's qemu-user-static (12) and qemu-user-binfmt (13) say how their interpreters are registered. */
function registrationFile(architecture: Architecture): string {
  return `/usr/lib/binfmt.d/qemu-${qemuNames[architecture]}.conf`;
}

/**
 * Makes programs of an architecture run in this user namespace, if they do not yet. Needs to be its root, and to
 * have a mount namespace of its own.
 *
 * @throws {Error} saying what is in the way; the end of a sentence that begins with "cannot run … programs: ".
 */
export async function enableArchitecture(
  architecture: Architecture,
): Promise<void> {
  if (await runs(architecture)) return;
  const file = registrationFile(architecture);
  const text = await readFile(file, "utf8").catch(() => {
    throw new Error(`${file} is missing`);
  });
  const mounted = await execa(
    "mount",
    ["-t", "binfmt_misc", "binfmt_misc", mountPoint],
    { reject: false },
  );
  if (mounted.failed) {
    throw new Error(
      `the kernel does not let a build register an interpreter (${mounted.stderr})`,
    );
  }
  await writeFile(join(mountPoint, "register"), fixedRegistration(text));
  if (await runs(architecture)) return;
  throw new Error(
    `the interpreter of ${file} was registered and does not work`,
  );
}

/**
 * The line that registers an interpreter, by a file in the form of binfmt.d(5), with the flag F: the interpreter
 * is opened now, so that it is found inside the image, too.
 */
export function fixedRegistration(text: string): string {
  const line = text.split("\n").find((each) => each.startsWith(":")) ?? "";
  const [, flags = ""] = /:([A-Z]*)$/.exec(line) ?? [];
  return flags.includes("F") ? line : `${line}F`;
}

/** Whether a program of the architecture runs, by running one. /tmp is the build's own. */
async function runs(architecture: Architecture): Promise<boolean> {
  const directory = await mkdtemp("/tmp/foreign-program-");
  const program = join(directory, "program");
  try {
    await writeFile(program, smallestProgram(architecture));
    await chmod(program, 0o755);
    const { exitCode } = await execa(program, { reject: false });
    return exitCode === smallestProgramCode;
  } finally {
    await rm(directory, { recursive: true });
  }
}
