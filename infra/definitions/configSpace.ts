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

/** Files of a config space, sorted by path: what a key covers. */
export type ConfigSpace = readonly ConfigSpaceFile[];

/** A file as it was read, with what its text says about its use. */
export interface ReadFile extends ConfigSpaceFile {
  /**
   * For a list of packages of which every part is for certain classes only: those classes. A list of such an entry
   * has to do nothing for an image that has none of them.
   */
  readonly onlyWith?: readonly string[];
}

/** Reads a config space, every file of it. */
export async function readConfigSpace(
  directory: string,
): Promise<readonly ReadFile[]> {
  const entries = await readdir(directory, {
    recursive: true,
    withFileTypes: true,
  });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const read = await Promise.all(
    files.map(async (file) => {
      const path = file.slice(directory.length + 1);
      const content = await readFile(file);
      return {
        path,
        executable: ((await stat(file)).mode & 0o100) !== 0,
        sha256: createHash("sha256").update(content).digest("hex"),
        ...(path.startsWith("package_config/") &&
          conditionsOf(content.toString())),
      };
    }),
  );
  return read.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The classes that all parts of a list of packages ask for: `PACKAGES install-norec AMD64` (install_packages(8)). */
function conditionsOf(text: string): Pick<ReadFile, "onlyWith"> {
  const parts = [...text.matchAll(/^PACKAGES\s+\S+[ \t]*(.*)$/gm)].map(
    ([, classes = ""]) => classes.split(/\s+/).filter((name) => name !== ""),
  );
  return parts.length > 0 && parts.every((classes) => classes.length > 0)
    ? { onlyWith: parts.flat() }
    : {};
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
 * @throws {UserError} for a class without any file, or whose packages are all for other images; for two classes
 * that bring the same file; and for a hook or script that FAI would skip because it is not executable.
 */
export function filesOfDefinition(
  configSpace: readonly ReadFile[],
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
  refuseUselessLists(name, classes, files);
  refuseSharedTargets(name, files);
  return files.map(({ path, executable, sha256 }) => ({
    path,
    executable,
    sha256,
  }));
}

/** A kernel that does not exist for an architecture would otherwise be an image without a kernel. */
function refuseUselessLists(
  name: string,
  classes: readonly string[],
  files: readonly ReadFile[],
): void {
  for (const { path, onlyWith } of files) {
    if (onlyWith?.some((wanted) => classes.includes(wanted)) ?? true) continue;
    throw new UserError(
      `${name} has the FAI class ${classOf(path)}, and image-definitions/fai/${path} has packages for images with ` +
        `${onlyWith?.join(" or ")} alone. Exclude that combination, or add what it needs.`,
    );
  }
}

/** FAI would take the file of the later class, and say nothing. */
function refuseSharedTargets(name: string, files: ConfigSpace): void {
  const targets = Map.groupBy(
    files.filter(({ path }) => path.startsWith("files/")),
    ({ path }) => path.slice(0, path.lastIndexOf("/")),
  );
  for (const [target, sources] of targets) {
    if (sources.length < 2) continue;
    throw new UserError(
      `${name} would get /${target.slice("files/".length)} from ${sources.map(({ path }) => `image-definitions/fai/${path}`).join(" and ")}. ` +
        "Give one of them another path, such as that of a drop-in, or change the other's file in a script.",
    );
  }
}
