/** A /proc of which parts are hidden, as those of containers are: the kernel lets nobody mount another one below it. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it, onTestFinished } from "vitest";

const program = join(import.meta.dirname, "hiddenProc.ts");
const namespaces = [
  ...["--user", "--map-root-user", "--mount", "--pid", "--fork"],
];

it.each([
  ["whole", "true"],
  ["hidden in part", "mount -t tmpfs tmpfs /proc/fs"],
])(
  "where /proc is %s, a target has one, and nothing of it is left afterwards",
  async (_, hide) => {
    const directory = await mkdtemp(join(tmpdir(), "hidden-proc-"));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const { stdout } = await execa(
      "unshare",
      [
        ...[...namespaces, "--mount-proc"],
        ...["sh", "-euc", `${hide}; exec "$@"`, "sh"],
        ...["unshare", ...namespaces, process.execPath, program, directory],
      ],
      // The current directory may be one that the program hides from itself.
      { cwd: "/" },
    );
    expect(JSON.parse(stdout)).toEqual({
      ...{ hasSelf: true, left: [], isMounted: false },
    });
  },
);
