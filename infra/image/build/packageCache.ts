/** Packages kept between builds. Each one's name has its sha256, so that what was altered or cut short shows. */

import { link, mkdir, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { sha256OfFile } from "../../store/digest.ts";
import type { Package } from "../../store/records.ts";

/** What no build has used for so long is removed: the archive has newer ones by then. */
const keptDays = 7;

/** A cached package: `<sha256>.<name that apt gave it>`. */
const cachedName = /^([0-9a-f]{64})\.(.+\.deb)$/;

/**
 * Fills a directory for apt from the cache, by links: apt locks a directory, so each build has its own. What is not
 * what its name says is removed, and downloaded again.
 */
export async function borrowPackages(
  cache: string,
  directory: string,
): Promise<void> {
  await mkdir(cache, { recursive: true });
  for (const name of await readdir(cache)) {
    const [, sha256, aptName] = cachedName.exec(name) ?? [];
    const path = join(cache, name);
    if (aptName === undefined || (await sha256OfFile(path)).sha256 !== sha256) {
      await rm(path, { force: true });
      continue;
    }
    // Two contents under one name: apt would look at the size alone, so the second one stays out.
    await link(path, join(directory, aptName)).catch(() => undefined);
  }
}

/** Links packages that were downloaded back into the cache. */
export async function returnPackages(
  cache: string,
  directory: string,
): Promise<void> {
  const known = new Set(
    (await readdir(cache)).map((name) => cachedName.exec(name)?.[2]),
  );
  for (const name of await readdir(directory)) {
    if (!name.endsWith(".deb") || known.has(name)) continue;
    const path = join(directory, name);
    const { sha256 } = await sha256OfFile(path);
    const cached = join(cache, `${sha256}.${name}`);
    // apt gives it the archive's date; here it says when the package was last of use.
    await utimes(path, new Date(), new Date());
    // Another build may have been faster.
    await link(path, cached).catch(() => undefined);
  }
}

/**
 * Removes from a directory of the cache what was not used for {@link keptDays}.
 *
 * @param used names there that count as used now
 */
export async function forgetUnused(
  directory: string,
  used: (name: string) => boolean,
): Promise<void> {
  const now = new Date();
  const oldest = now.getTime() - keptDays * 24 * 3600 * 1000;
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name);
    if (used(name)) {
      await utimes(path, now, now).catch(() => undefined);
    } else if ((await stat(path)).mtimeMs < oldest) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

/** Tells whether a name in the cache is that of one of the packages. */
export function cachedNameOf(
  packages: readonly Package[],
): (name: string) => boolean {
  const names = new Set(
    packages.map(
      ({ name, version, architecture }) =>
        `${name}_${version.replaceAll(":", "%3a")}_${architecture}.deb`,
    ),
  );
  return (name) => names.has(cachedName.exec(name)?.[2] ?? "");
}
