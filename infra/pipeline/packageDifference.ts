/** How the packages of images that were just built differ from those of the builds before. */

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { listBuilds } from "../store/documents.ts";
import { type BuildRecord, buildRecordSchema } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import type { PackageChange, PackageDifference } from "./previewDocument.ts";
import { cut } from "./previewReading.ts";

/** Name of the record that each build leaves. */
const buildFileName = "build.json";

/** A record has a thousand packages of a hundred bytes each: what is far longer is none. */
const longestRecordBytes = 16 * 1024 * 1024;

/**
 * The records of builds in a directory of artifacts, wherever below it they are. What is no such record is passed over: jobs of
 * merge requests made it.
 */
export async function readBuildRecords(
  directory: string,
): Promise<readonly BuildRecord[]> {
  const entries = await readdir(directory, {
    recursive: true,
    withFileTypes: true,
  });
  const records: BuildRecord[] = [];
  for (const entry of entries) {
    if (!entry.isFile() || entry.name !== buildFileName) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await stat(path)).size > longestRecordBytes) continue;
    const parsed = buildRecordSchema.safeParse(
      jsonOrNothing(await readFile(path, "utf8")),
    );
    if (parsed.success) records.push(parsed.data);
  }
  return records.sort((one, other) =>
    one.definition.name < other.definition.name ? -1 : 1,
  );
}

/**
 * Compares each build with the newest other one of its definition in a store.
 *
 * @param store none where it is out of reach: then nothing is compared
 */
export async function packageDifferences(
  builds: readonly BuildRecord[],
  store: Store | undefined,
): Promise<readonly PackageDifference[]> {
  const known =
    store === undefined || builds.length === 0 ? [] : await listBuilds(store);
  return builds.map((build) => {
    const base = known.find(
      ({ key, definition }) =>
        definition.name === build.definition.name && key !== build.key,
    );
    return {
      definition: build.definition.name,
      key: build.key.slice(0, 12),
      packages: build.packages.length,
      ...(base === undefined
        ? { changes: [] }
        : {
            base: base.version,
            changes: packageChanges(base, build).slice(0, mostChanges),
          }),
    };
  });
}

/** A whole release of Debian is no difference that anybody reads. */
const mostChanges = 20_000;

/** What is new, gone or of another version, by name. Pure. */
export function packageChanges(
  before: Pick<BuildRecord, "definition" | "packages">,
  now: Pick<BuildRecord, "definition" | "packages">,
): PackageChange[] {
  const [old, present] = [versionsOf(before), versionsOf(now)];
  return [...new Set([...old.keys(), ...present.keys()])]
    .sort()
    .filter((name) => old.get(name) !== present.get(name))
    .map((name) => {
      const [from, to] = [old.get(name), present.get(name)];
      return {
        name: cut(name, 300),
        ...(from === undefined ? {} : { from: cut(from, 300) }),
        ...(to === undefined ? {} : { to: cut(to, 300) }),
      };
    });
}

/** Versions by name; a package of another architecture has it in its name, as dpkg shows it. */
function versionsOf({
  definition,
  packages,
}: Pick<BuildRecord, "definition" | "packages">): ReadonlyMap<string, string> {
  return new Map(
    packages.map(({ name, version, architecture }) => [
      [definition.architecture, "all"].includes(architecture)
        ? name
        : `${name}:${architecture}`,
      version,
    ]),
  );
}

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
