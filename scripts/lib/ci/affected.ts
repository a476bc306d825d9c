/** `scripts/ci affected`: which images a change reaches, and a pipeline that builds them. */

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { UserError } from "../../../infra/errors.ts";
import { childPipeline } from "../../../infra/pipeline/childPipeline.ts";
import {
  all,
  type Reach,
  reachOf,
  reachText,
} from "../../../infra/pipeline/reach.ts";
import { stackSources } from "../../../infra/pipeline/stackSources.ts";
import { baseSources, NoCommonCommitError } from "./baseSources.ts";

export const usage = `scripts/ci affected (--base REF [--or-all] | --all) [--stack STACK] [--json]
                    [--child FILE --tag TAG [--image IMAGE] [--in-store] [--anew]]

Compares what each image of STACK (default: local) is made from here with what it was made from in the last commit that
this checkout has in common with REF, and names those that differ, and why. It needs no network and no store: the state
of the package archive is left out of both. With --all it names every image of the stack, with --or-all where there is no such
commit: after somebody has pushed by force.

--child writes a pipeline for GitLab with a job for each of them, on runners with the tag of the image's architecture
and TAG, in the container IMAGE where one is named. --in-store has them build into the store of the stack, and not into
one that ends with the job; --anew has them build though there is an image with the same packages.`;

export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      base: { type: "string" },
      all: { type: "boolean", default: false },
      "or-all": { type: "boolean", default: false },
      stack: { type: "string", default: "local" },
      json: { type: "boolean", default: false },
      child: { type: "string" },
      tag: { type: "string" },
      image: { type: "string" },
      "in-store": { type: "boolean", default: false },
      anew: { type: "boolean", default: false },
    },
  });
  const { base, stack, child, tag, image, anew } = values;
  if ((base === undefined) !== values.all) {
    throw new UserError(
      "scripts/ci affected: say what to compare with by --base REF, or --all. Run scripts/ci affected --help.",
    );
  }
  const reach = await find(base, stack, values["or-all"]);
  if (child !== undefined) {
    if (tag === undefined) {
      throw new UserError(
        "scripts/ci affected: --child needs --tag, the tag of the runners that are to build.",
      );
    }
    const definitions = reach.images.map(({ definition }) => definition);
    const inStore = values["in-store"];
    const text = childPipeline(definitions, {
      ...{ stack, tag, image, inStore, anew },
    });
    await writeFile(child, text);
  }
  console.log(values.json ? asJson(reach) : reachText(reach));
  return 0;
}

async function find(
  base: string | undefined,
  stack: string,
  orAll: boolean,
): Promise<Reach> {
  const after = await stackSources(stack);
  const everything = (reason: string) => ({
    images: all(after, reason),
    gone: [],
  });
  if (base === undefined) return everything("All images were asked for.");
  try {
    const { images, unknown } = await baseSources(base, stack);
    return reachOf(images, after, unknown);
  } catch (error) {
    if (!orAll || !(error instanceof NoCommonCommitError)) throw error;
    return everything(`There is no ${base} to compare with any more.`);
  }
}

function asJson({ images, gone }: Reach): string {
  const shown = images.map(({ definition, changes }) => ({
    name: definition.name,
    architecture: definition.architecture,
    allowFailure: definition.allowFailure,
    changes,
  }));
  return JSON.stringify({ images: shown, gone }, undefined, 2);
}
