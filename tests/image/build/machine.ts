/** Machines that lack something: mount namespaces of this one in which it is hidden or replaced. */

import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Definition } from "../../../infra/definitions/definition.ts";

/** How a machine differs from this one. */
export interface Machine {
  /** Paths of files, and what these have there; an empty text hides a program. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Directories that have just these files there; an empty list hides what is in them. */
  readonly directories?: Readonly<
    Record<string, Readonly<Record<string, string | Uint8Array>>>
  >;
  /** The user; root when left out. */
  readonly uid?: number;
  /** Size of the file system that the disk is to be written to; this machine's when left out. */
  readonly diskMiB?: number;
}

/** What requireBuildMachine says there of a definition: an error's name and message, or `fine`. */
export async function verdictOn(
  machine: Machine,
  definition: Definition,
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "machine-test-"));
  try {
    const mounts: string[] = [];
    for (const [index, [path, text]] of Object.entries(
      machine.files ?? {},
    ).entries()) {
      const file = join(directory, String(index));
      await writeFile(file, text);
      await chmod(file, String(text).startsWith("#!") ? 0o755 : 0o644);
      mounts.push(`mount --bind ${file} ${path}`);
    }
    for (const [index, [path, files]] of Object.entries(
      machine.directories ?? {},
    ).entries()) {
      const source = join(directory, `directory-${index}`);
      await mkdir(source);
      for (const [name, content] of Object.entries(files)) {
        await writeFile(join(source, name), content, { mode: 0o755 });
      }
      mounts.push(`mount --bind ${source} ${path}`);
    }
    const output = join(directory, "output");
    mounts.push(`mkdir ${output}`);
    if (machine.diskMiB !== undefined) {
      mounts.push(`mount -t tmpfs -o size=${machine.diskMiB}M tmpfs ${output}`);
    }
    const asUser =
      machine.uid === undefined
        ? ""
        : `unshare --user --map-user=${machine.uid} `;
    const { stdout } = await execa(
      "unshare",
      [
        ...["--user", "--map-root-user", "--mount", "sh", "-euc"],
        [...mounts, `exec ${asUser}"$@"`].join("\n"),
        ...["sh", process.execPath, join(import.meta.dirname, "verdict.ts")],
        ...[JSON.stringify(definition), output],
      ],
      // Below /tmp, as a checkout may be, which is hidden where foreign programs are tried.
      { cwd: directory },
    );
    return stdout;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
