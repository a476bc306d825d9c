/** `scripts/ci release`: which builds a stack has published, for the pipeline that releases them. */

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { table } from "../../../infra/definitions/listing.ts";
import {
  newestKeys,
  releaseLine,
} from "../../../infra/pipeline/releaseKeys.ts";
import { readStackConfig } from "../../../infra/stackFile.ts";
import { listPublications } from "../../../infra/store/documents.ts";
import { openStore, storeAddress } from "../../../infra/store/openStore.ts";

export const usage = `scripts/ci release [--stack STACK] [--dotenv FILE]

Says of each image that STACK (default: local) has published which build is the newest one. FILE gets their exact keys as a
variable for the release project's pipeline.`;

export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      stack: { type: "string", default: "local" },
      dotenv: { type: "string" },
    },
  });
  const { stack, dotenv } = values;
  const { store, type } = await readStackConfig(stack);
  const records = await listPublications(openStore(storeAddress(store)));
  const newest = newestKeys(
    records.filter(
      (record) => record.stack.endsWith(`/${stack}`) && record.channel === type,
    ),
  );
  const rows = [...newest].map(([name, { version, key }]) => [
    name,
    version,
    key,
  ]);
  const line = releaseLine([...newest.values()].map(({ key }) => key));
  if (dotenv !== undefined) await writeFile(dotenv, line);
  console.log(table([["IMAGE", "VERSION", "KEY"], ...rows]));
  return 0;
}
