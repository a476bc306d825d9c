/** Which files of the FAI config space an image is made from. The only I/O is reading them. */

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../errors.ts";
import type { Definition } from "./definition.ts";

/** One file of the config space. */
export interface ConfigSpaceFile {
  /** Relative to the config space, with slashes. */
  readonly path: string;
  readonly executable: boolean;
  /** 64 hex digits. */
  readonly sha256: string;
}

/** Files of a config space, sorted by path. */
export type ConfigSpace = readonly ConfigSpaceFile[];

/** Reads a config space, every file of it. */
export async function readConfigSpace(directory: string): Promise<ConfigSpace> {
  const entries = await readdir(directory, {
    recursive: true,
    withFileTypes: true,
  });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const read = await Promise.all(
    files.map(async (file) => ({
      path: file.slice(directory.length + 1),
      executable: ((await stat(file)).mode & 0o100) !== 0,
      sha256: createHash("sha256")
        .update(await readFile(file))
        .digest("hex"),
    })),
  );
  return read.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * The class that a file belongs to, by where FAI looks for it (FAI guide, "The configuration space and its
 * subdirectories"), or `undefined` for a file that FAI does not use.
 */
export function classOf(path: string): string | undefined {
  const [room = "", ...rest] = path.split("/");
  const name = rest.at(-1) ?? "";
  switch (room) {
    case "class":
      return /^(.+)\.var$/.exec(name)?.[1];
    case "package_config":
    case "debconf":
    case "files":
      return name;
    case "hooks":
      return /^[a-z]+\.([^.]+)(\.sh)?$/.exec(name)?.[1];
    case "scripts":
      return rest[0];
    default:
      return undefined;
  }
}

/**
 * The files that an image with these classes is made from.
 *
 * @throws {UserError} for a class without any file, and for a hook or script that FAI would skip because it
 * is not executable.
 */
export function filesOfDefinition(
  configSpace: ConfigSpace,
  { name, classes }: Pick<Definition, "name" | "classes">,
): ConfigSpace {
  const files = configSpace.filter(({ path }) => {
    const owner = classOf(path);
    return owner !== undefined && classes.includes(owner);
  });
  const empty = classes.filter(
    (wanted) => !files.some(({ path }) => classOf(path) === wanted),
  );
  if (empty.length > 0) {
    throw new UserError(
      `${name} has the FAI class ${empty.join(", ")}, for which image-definitions/fai has no file. ` +
        "Correct the class in image-definitions, or add package_config/CLASS, scripts/CLASS/… or files/…/CLASS.",
    );
  }
  const idle = files
    .filter(
      ({ path, executable }) => !executable && /^(hooks|scripts)\//.test(path),
    )
    .map(({ path }) => `image-definitions/fai/${path}`);
  if (idle.length > 0) {
    throw new UserError(
      `FAI skips what is not executable: ${idle.join(", ")}. Run: chmod +x ${idle.join(" ")}`,
    );
  }
  return files;
}
