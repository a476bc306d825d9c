/** A copy of the project's scripts in a directory of its own, and machines that have little installed. */
import {
  access,
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { onTestFinished } from "vitest";

export const project = dirname(dirname(import.meta.dirname));

/** What every Debian has, and the scripts may use without asking; and curl. */
const basics =
  "awk base64 basename bash cat chmod cp curl cut date dirname env false find flock grep gzip head id kill ln ls mkdir mktemp mv ps readlink rm sed sh sha256sum sleep sort tail tar touch tr true uname wc xz".split(
    " ",
  );

export interface Run {
  exitCode: number | undefined;
  stdout: string;
  /** Everything that was printed, in its order. */
  all: string;
}

/** A directory that is gone when the test has ended. */
export async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "scripts-test-"));
  onTestFinished(() =>
    rm(directory, { recursive: true, force: true, maxRetries: 5 }),
  );
  return directory;
}

/** Writes files, with the directories they need, and makes those that begin with `#!` executable. */
export async function writeFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    await writeFile(path, text, { flag: "wx" });
    await chmod(path, text.startsWith("#!") ? 0o755 : 0o644);
  }
}

/** A checkout that has nothing but the scripts. */
export async function makeCheckout(
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  const checkout = join(await makeDirectory(), "a checkout");
  await cp(join(project, "scripts"), join(checkout, "scripts"), {
    recursive: true,
  });
  await writeFiles(checkout, files);
  return checkout;
}

/** A checkout that is set up already: it shares this one's tools and Node packages. */
export async function makeReadyCheckout(
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  const checkout = await makeCheckout(files);
  for (const name of [
    ".tools",
    "node_modules",
    "package-lock.json",
    "package.json",
    "tsconfig.json",
    "biome.json",
  ]) {
    if (await exists(join(project, name))) {
      await symlink(join(project, name), join(checkout, name));
    }
  }
  return checkout;
}

/** A PATH with Debian's basics and the given programs, whose texts are scripts; nothing else is found there. */
export async function makePath(
  programs: Readonly<Record<string, string>> = {},
): Promise<string> {
  const directory = await makeDirectory();
  for (const name of basics) {
    // A program that is stood in for must not be a link to the real one: writing it would go through.
    if (!(name in programs)) {
      await symlink(await findProgram(name), join(directory, name));
    }
  }
  await writeFiles(directory, programs);
  return directory;
}

async function findProgram(name: string): Promise<string> {
  for (const directory of ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]) {
    if (await exists(join(directory, name))) {
      return join(directory, name);
    }
  }
  throw new Error(`This machine has no ${name}.`);
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Runs a piece of Bash that has the scripts' functions. */
export async function runBash(
  checkout: string,
  script: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const preamble = `set -euo pipefail
    . scripts/lib/setup.sh
    . scripts/lib/stack.sh
    mkdir -p "$TOOLS"\n`;
  return run("/bin/bash", ["-c", preamble + script], checkout, environment);
}

/** Runs a program with no more of this process's environment than PATH, and a HOME of its own. */
export async function run(
  program: string,
  args: readonly string[],
  directory: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const { exitCode, stdout, all } = await execa(program, args, {
    cwd: directory,
    all: true,
    reject: false,
    extendEnv: false,
    stdin: "ignore",
    env: { PATH: process.env.PATH ?? "", HOME: directory, ...environment },
  });
  return { exitCode, stdout, all };
}

/** A version that one of the scripts pins, such as PULUMI_VERSION. */
export async function readPin(file: string, name: string): Promise<string> {
  const text = await readFile(join(project, "scripts/lib", file), "utf8");
  const value = new RegExp(`^${name}=(\\S+)$`, "m").exec(text)?.[1];
  if (value === undefined) {
    throw new Error(`${file} does not set ${name}.`);
  }
  return value;
}
