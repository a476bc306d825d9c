/**
 * `openstack`: what it takes to get images into Glance, ours beside curl, to the same real Glance on this machine.
 *
 * - One image of 1 and one of 8 GiB, sparse: the memory of the process that sends it, and how it grows with the size.
 *   Ours hashes what it sends, too, makes the image, describes and records it.
 * - Twenty clouds, all of them that Glance under twenty names: one file to each of them, as many at once as a stack has when
 *   it says nothing; curl as many.
 *
 * Keystone and Glance take their part of the cores from both.
 */

import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeBuild } from "../infra/store/documents.ts";
import { openStore } from "../infra/store/openStore.ts";
import type { BuildRecord } from "../infra/store/records.ts";
import { OpenstackCloud } from "../tests/servers/openstack.ts";
import { sampleBuild } from "../tests/store/records.ts";
import { type Benchmark, type Context, measureSide } from "./benchmark.ts";
import { type Comparison, isMeasured } from "./results.ts";
import type {
  UploadImagesRequest,
  UploadImagesResult,
} from "./sides/uploadImages.ts";

const gibibyte = 1024 ** 3;
const sizesGiB = [1, 8];
const manyClouds = 20;
const manySizeGiB = 0.25;
/** Data in each disk, at its beginning: Glance stores it, and takes zeros for holes. */
const dataMiB = 64;

export const openstack: Benchmark = {
  summary: `images of ${sizesGiB.join(" and ")} GiB to Glance, and one to ${manyClouds} clouds, beside curl`,

  async run(context) {
    const { directory } = context;
    await using cloud = await OpenstackCloud.start(
      directory,
      (Math.max(...sizesGiB) + 1) * gibibyte,
    );
    const cloudsFile = join(directory, "clouds.yaml");
    const names = Array.from({ length: manyClouds }, (_, i) => `cloud-${i}`);
    await writeFile(
      cloudsFile,
      JSON.stringify({
        clouds: Object.fromEntries(names.map((name) => [name, cloud.entry()])),
      }),
    );
    const comparisons: Comparison[] = [];
    for (const sizeGiB of sizesGiB) {
      comparisons.push(
        await compare(context, cloud, {
          ...{ name: `openstack ${sizeGiB} GiB`, sizeGiB, cloudsFile },
          clouds: names.slice(0, 1),
        }),
      );
    }
    const peaks = comparisons.map(({ ours }) =>
      isMeasured(ours) ? ours.peakMemoryMiB : Number.NaN,
    );
    const [small = Number.NaN, large = Number.NaN] = peaks;
    const many = await compare(context, cloud, {
      ...{ name: `openstack ${manyClouds} clouds`, cloudsFile },
      ...{ sizeGiB: manySizeGiB, clouds: names },
    });
    const growthMiB = Math.round(large - small);
    return [
      ...comparisons.map((each) => ({
        ...each,
        details: { ...each.details, growthMiB },
        notes: [
          ...(each.notes ?? []),
          `${growthMiB} MiB more memory for ${sizesGiB[1]} GiB than for ${sizesGiB[0]}`,
        ],
      })),
      many,
    ];
  },
};

interface Upload {
  readonly name: string;
  readonly sizeGiB: number;
  readonly clouds: readonly string[];
  readonly cloudsFile: string;
}

async function compare(
  context: Context,
  cloud: OpenstackCloud,
  { name, sizeGiB, clouds, cloudsFile }: Upload,
): Promise<Comparison> {
  const store = join(context.directory, `store-${sizeGiB}`);
  const build = await storeDisk(store, sizeGiB);
  const send = async (label: string, way: UploadImagesRequest["way"]) => {
    await cloud.clear();
    return measureSide<UploadImagesResult>(
      context,
      `${name}, ${label}`,
      new URL("sides/uploadImages.ts", import.meta.url),
      { way, store, build, clouds, cloudsFile } satisfies UploadImagesRequest,
    );
  };
  const ours = await send("cloud-images", "ours");
  const theirs = await send("curl", "curl");
  await cloud.clear();
  return comparisonOf(name, ours, theirs);
}

interface Sent {
  readonly side: Comparison["ours"];
  readonly result?: UploadImagesResult;
}

/** Both ways, with what is asked of ours. */
export function comparisonOf(
  name: string,
  ours: Sent,
  theirs: Sent,
): Comparison {
  const comparison = {
    name,
    labels: { ours: "cloud-images", theirs: "curl" },
    ...{ ours: ours.side, theirs: theirs.side },
  };
  if (ours.result === undefined || theirs.result === undefined) {
    return comparison;
  }
  const seconds = [ours.result.sendSeconds, theirs.result.sendSeconds] as const;
  const timeRatio = Number((seconds[0] / seconds[1]).toFixed(2));
  const peak = isMeasured(ours.side) ? ours.side.peakMemoryMiB : Number.NaN;
  return {
    ...comparison,
    details: { timeRatio, sendSeconds: seconds },
    notes: [
      `${timeRatio} of the transfers' own time (at most 1.3)`,
      `${Math.round(peak)} MiB of memory at the peak (at most 128)`,
    ],
  };
}

/** A sparse disk in a store, and the record of its build. */
async function storeDisk(
  address: string,
  sizeGiB: number,
): Promise<BuildRecord> {
  const store = openStore(address);
  const raw = await store.withIncoming(async (incoming) => {
    const path = join(incoming, "disk.raw");
    {
      await using file = await open(path, "w");
      await file.write(Buffer.alloc(dataMiB * 1024 ** 2, "data"));
      await file.truncate(sizeGiB * gibibyte);
    }
    return store.adopt(path);
  });
  const build = sampleBuild(raw);
  await writeBuild(store, build);
  return build;
}
