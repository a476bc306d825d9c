/** What the images of a stack were made from before a change: asked of the sources of that time themselves. */

import { existsSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { UserError } from "../../../infra/errors.ts";
import {
  parseSources,
  type SourceImage,
} from "../../../infra/pipeline/stackSources.ts";
import { projectDirectory, projectPath } from "../../../infra/projectPaths.ts";

/** There is no commit that a change could be compared with. */
export class NoCommonCommitError extends UserError {}

/** The sources, or why they cannot be had. */
export interface BaseSources {
  /** The commit that was looked at. */
  readonly commit: string;
  readonly images?: readonly SourceImage[];
  /** A sentence. */
  readonly unknown?: string;
}

/**
 * Asks the commit that this checkout and `ref` have in common, in a worktree of its own that is gone afterwards.
 *
 * Its code runs with this checkout's Node packages, also where package-lock.json differs: what packages contribute to a
 * key is nothing but reading YAML and checking it, and installing those of that time would need a network.
 *
 * @throws {NoCommonCommitError} when there is no such commit.
 * @throws {UserError} for a `ref` that could be none.
 */
export async function baseSources(
  ref: string,
  stack: string,
): Promise<BaseSources> {
  const commit = await mergeBase(ref);
  const directory = await mkdtemp(join(tmpdir(), "cloud-images-base-"));
  const checkout = join(directory, "checkout");
  try {
    await git(["worktree", "add", "--detach", "--force", checkout, commit]);
    const modules = join(checkout, "node_modules");
    await rm(modules, { recursive: true, force: true });
    await symlink(projectPath("node_modules"), modules);
    return { commit, ...(await ask(checkout, stack)) };
  } finally {
    await rm(directory, { recursive: true, force: true });
    await git(["worktree", "prune"]);
  }
}

async function ask(
  checkout: string,
  stack: string,
): Promise<Omit<BaseSources, "commit">> {
  const program = join(checkout, "scripts/lib/ci.ts");
  const everything = "so every image counts as reached.";
  if (!existsSync(program)) {
    return {
      unknown: `The sources before the change cannot say their keys yet, ${everything}`,
    };
  }
  const { exitCode, stdout, stderr } = await execa(
    process.execPath,
    [program, "sources", "--stack", stack],
    { cwd: checkout, reject: false },
  );
  try {
    if (exitCode !== 0) throw new Error(lastLine(stderr));
    return { images: parseSources(stdout) };
  } catch (error) {
    const reason = lastLine((error as Error).message);
    return {
      unknown: `The sources before the change do not say their keys (${reason}), ${everything}`,
    };
  }
}

async function mergeBase(ref: string): Promise<string> {
  // What begins with a hyphen would be an option.
  if (!/^[\w./~^@{}-]+$/.test(ref) || ref.startsWith("-")) {
    throw new UserError(`${JSON.stringify(ref)} names no commit.`);
  }
  const { exitCode, stdout, stderr } = await execa(
    "git",
    ["merge-base", `${ref}^{commit}`, "HEAD"],
    { cwd: projectDirectory, reject: false },
  );
  if (exitCode === 0) return stdout.trim();
  throw new NoCommonCommitError(
    `This checkout and ${ref} have no commit in common that is here. Name a commit by --base that git has, and fetch enough of its history (in a job: GIT_DEPTH 0).${stderr === "" ? "" : ` git says: ${stderr}`}`,
  );
}

async function git(args: readonly string[]): Promise<void> {
  // Nobody's hooks: the checkout is looked at, and nothing else.
  await execa("git", ["-c", "core.hooksPath=/dev/null", ...args], {
    cwd: projectDirectory,
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
