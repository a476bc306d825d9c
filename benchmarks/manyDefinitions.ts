/**
 * `definitions`: what five hundred images cost before any of them is built.
 *
 * - ours: reading, expanding, checking and listing all definitions and finding the key of each, in a Node process of its
 *   own, whose start is counted, too. `workSeconds` is without that start.
 * - previews: `pulumi preview` by the real engine, of a new stack with so many images. `previewMillisecondsEach` is the
 *   slope of the straight line through them, `previewSlopes` are those between each two, so that one sees whether it is one.
 *   On a machine at work with something else, `previewCpuMillisecondsEach` still says what an image costs.
 *   `bare…` are the same of a program that declares as many resources and has nothing behind them: what the engine and the
 *   SDK take by themselves. `shaped…` are the same of resources that have the properties and dependencies of images, too: the
 *   floor of a program that declares what ours does.
 *
 * The archive's answer is at hand: how long a mirror takes does not depend on the number of images.
 */

import { chmod, cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { loadImages } from "../infra/definitions/load.ts";
import { projectPath } from "../infra/projectPaths.ts";
import {
  type Benchmark,
  type Context,
  measureCommand,
  measureSide,
} from "./benchmark.ts";
import { type Comparison, isMeasured } from "./results.ts";
import type {
  KeyDefinitionsRequest,
  KeyDefinitionsResult,
} from "./sides/keyDefinitions.ts";

const wantedDefinitions = 500;
/** The first is not counted: it fills the caches of disk and Node. */
const previewSizes = [10, 50, 100, 200, 400];

const barePreviewSizes = [100, 200, 400];
/** Of one image here: its build, two formats, two boot checks, one publication. */
const partsOfImage = 6;

/** A preview of so many images. */
interface Preview {
  readonly images: number;
  readonly seconds: number;
  /** Of the engine, the program and the dynamic provider together: they run side by side. */
  readonly cpuSeconds: number;
}

export const manyDefinitions: Benchmark = {
  summary: `${wantedDefinitions} definitions: list, check and key; and previews of up to ${previewSizes.at(-1)} images`,

  async run(context) {
    const project = await makeProject(context);
    const { side, result } = await measureSide<KeyDefinitionsResult>(
      context,
      `definitions, ${wantedDefinitions} of them`,
      new URL("sides/keyDefinitions.ts", import.meta.url),
      await keyRequest(project),
    );
    const previews: Preview[] = [];
    for (const images of previewSizes) {
      const preview = await measurePreview(context, project, images);
      if (preview !== undefined) previews.push(preview);
    }
    const counted = previews.filter(({ images }) => images !== previewSizes[0]);
    const bare: Preview[] = [];
    const shaped: Preview[] = [];
    const shape = await shapeOfImage(project);
    for (const images of barePreviewSizes) {
      const empty = await measureBarePreview(context, project, images);
      if (empty !== undefined) bare.push(empty);
      const full = await measureBarePreview(context, project, images, shape);
      if (full !== undefined) shaped.push(full);
    }
    const comparison: Comparison = {
      name: "definitions",
      labels: { ours: "list, check and key", theirs: "another tool" },
      ours: side,
      theirs: { skipped: "there is none that does the same." },
      details: {
        ...result,
        previews: counted.map(({ images, seconds, cpuSeconds }) => ({
          ...{ images, seconds, cpuSeconds },
        })),
        previewMillisecondsEach: slopeMs(counted),
        previewSlopes: slopesMs(counted),
        previewCpuMillisecondsEach: slopeMs(counted.map(cpuPoint)),
        barePreviewMillisecondsEach: slopeMs(bare),
        barePreviewCpuMillisecondsEach: slopeMs(bare.map(cpuPoint)),
        shapedPreviewMillisecondsEach: slopeMs(shaped),
        shapedPreviewCpuMillisecondsEach: slopeMs(shaped.map(cpuPoint)),
      },
      notes: [
        `${result?.images ?? 0} images`,
        ...counted.map(
          ({ images, seconds, cpuSeconds }) =>
            `preview of ${images} images: ${seconds} s, ${cpuSeconds} CPU s`,
        ),
        `each further image in a preview: ${slopeMs(counted)} ms (${slopesMs(counted).join(", ")} ms from step to step)`,
        `of that the engine and the SDK alone, for as many empty resources: ${slopeMs(bare)} ms`,
        `the same for as many resources with properties and dependencies as images have: ${slopeMs(shaped)} ms`,
      ],
    };
    return [comparison];
  },
};

type Point = Pick<Preview, "images" | "seconds">;

/** A preview by its processor time. */
function cpuPoint({ images, cpuSeconds }: Preview): Point {
  return { images, seconds: cpuSeconds };
}

/** Milliseconds that each image adds: least squares over all previews; 0 where there are too few. */
export function slopeMs(previews: readonly Point[]): number {
  if (previews.length < 2) return 0;
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(previews.map(({ images }) => images));
  const y = mean(previews.map(({ seconds }) => seconds));
  const over = mean(
    previews.map(({ images, seconds }) => (images - x) * (seconds - y)),
  );
  const under = mean(previews.map(({ images }) => (images - x) ** 2));
  return Math.round((1000 * over) / under);
}

/** The same between each preview and the next one. */
export function slopesMs(previews: readonly Point[]): readonly number[] {
  return previews.slice(1).map((next, index) => {
    const preview = previews[index] as Point;
    return slopeMs([preview, next]);
  });
}

/** A copy of the project with a backend of its own, and an archive that needs no network. */
async function makeProject({ directory }: Context): Promise<string> {
  const project = join(directory, "project");
  for (const name of [
    "infra",
    "image-definitions",
    "package.json",
    "Pulumi.yaml",
  ]) {
    await cp(projectPath(name), join(project, name), { recursive: true });
  }
  await symlink(projectPath("node_modules"), join(project, "node_modules"));
  for (const name of ["backend", "home", "bin"]) {
    await mkdir(join(project, name));
  }
  const apt = join(project, "bin/apt-get");
  await writeFile(apt, aptGet);
  await chmod(apt, 0o755);
  await writeFile(
    join(project, "Pulumi.many.yaml"),
    JSON.stringify({ config: stackConfig }),
  );
  return project;
}

/** Fetches what every archive offers: a Release file for each suite that it is asked for. */
const aptGet = `#!/bin/sh
for option; do
  case $option in
  Dir::State::lists=*) lists=\${option#*=} ;;
  Dir::Etc::sourcelist=*) sources=\${option#*=} ;;
  esac
done
for suite in $(sed -n 's/^Suites: //p' "$sources"); do
  printf 'Date: Sat, 21 Nov 2026 03:00:00 UTC\\n' >"$lists/archive_\${suite}_InRelease"
done
`;

const stackConfig = {
  "cloud-images:definitions": ["debian-13-many*-amd64"],
  "cloud-images:store": { directory: "store" },
  "cloud-images:directory": { path: "public" },
  "cloud-images:archive": {
    debian: "http://archive.example/debian",
    security: "http://archive.example/debian-security",
  },
};

/** Describes so many images of somebody's own, each a little different. */
async function describeImages(project: string, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `many${index}`);
  const variants = names.map((name, index) => [
    name,
    {
      extends: "genericcloud",
      description: `Number ${index}`,
      disk: { sizeGiB: 3 + (index % 3) },
    },
  ]);
  const content = {
    variants: Object.fromEntries(variants),
    images: [
      { releases: ["trixie"], architectures: ["amd64"], variants: names },
    ],
  };
  await writeFile(
    join(project, "image-definitions/many.yaml"),
    JSON.stringify(content, undefined, 1),
  );
}

async function keyRequest(project: string): Promise<KeyDefinitionsRequest> {
  const definitions = join(project, "image-definitions");
  const own = (await loadImages(definitions)).length;
  await describeImages(project, wantedDefinitions - own);
  return { definitions };
}

async function measurePreview(
  context: Context,
  project: string,
  images: number,
): Promise<Preview | undefined> {
  await describeImages(project, images);
  const preview = await runPreview(context, {
    label: `definitions, preview of ${images} images`,
    program: project,
    project,
    images,
  });
  const shown = preview?.stdout.match(/-image +create/g)?.length;
  if (preview !== undefined && shown !== images) {
    throw new Error(`The preview shows ${shown} images instead of ${images}.`);
  }
  return preview;
}

/** What the resources of one of the images are given, as release/imageVersion.ts and platforms/tree/treePlace.ts have it. */
async function shapeOfImage(project: string): Promise<object> {
  const [definition] = await loadImages(join(project, "image-definitions"));
  const text = "organization/cloud-images/many";
  const key = "0".repeat(64);
  const common = { stack: text, store: "store", key };
  const suites = ["trixie", "trixie-updates", "trixie-security"].map(
    (suite) => [suite, "Sat, 21 Nov 2026 03:00:00 UTC"],
  );
  const archive = {
    mirror: { debian: text, security: text },
    suites: Object.fromEntries(suites),
    epochSeconds: 1_763_694_000,
  };
  const check = { ...common, definition, logs: text, work: text };
  return {
    image: { ...check, archive, configSpace: text, cache: text },
    format: { store: "store", key, label: text, format: "qcow2" },
    check: { ...check, firmware: "uefi" },
    publication: {
      ...{ ...common, root: "public", release: text, channel: "release" },
      ...{ definition: text, formats: ["tar.zst", "qcow2"] },
      ...{ firmware: ["bios", "uefi"], sha512: undefined, files: undefined },
    },
  };
}

async function measureBarePreview(
  context: Context,
  project: string,
  images: number,
  shape?: object,
): Promise<Preview | undefined> {
  // At the same place, seen from what it imports.
  const name = "benchmarks/sides/barePreview";
  const program = join(project, name);
  await cp(projectPath(name), program, { recursive: true });
  const size = { images, children: partsOfImage };
  const config = {
    "bare-preview:size": size,
    ...(shape && { "bare-preview:shape": shape }),
  };
  await writeFile(
    join(program, "Pulumi.many.yaml"),
    JSON.stringify({ config }),
  );
  const kind = shape === undefined ? "bare" : "shaped";
  return runPreview(context, {
    label: `definitions, ${kind} preview of ${images} images`,
    ...{ program, project, images },
  });
}

/** Previews the stack `many` of a program, with the backend and the programs of the benchmark's project. */
async function runPreview(
  context: Context,
  {
    label,
    program,
    project,
    images,
  }: {
    readonly label: string;
    readonly program: string;
    readonly project: string;
    readonly images: number;
  },
): Promise<(Preview & { readonly stdout: string }) | undefined> {
  const measured = await measureCommand(context, label, [
    ...["env", `--chdir=${program}`, `PATH=${project}/bin:${process.env.PATH}`],
    `PULUMI_HOME=${project}/home`,
    `PULUMI_BACKEND_URL=${pathToFileURL(join(project, "backend"))}`,
    // As scripts/lib/stack.sh has it.
    ...["GOGC=400", "PULUMI_SKIP_UPDATE_CHECK=true"],
    "PULUMI_CONFIG_PASSPHRASE=",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true",
    ...["bash", "-c", previewScript],
  ]);
  if ("failed" in measured || !isMeasured(measured.usage)) {
    context.say(`${label}: ${"failed" in measured ? measured.failed : ""}`);
    return undefined;
  }
  const { seconds, cpuSeconds } = measured.usage;
  return {
    ...{ images, stdout: measured.stdout },
    ...{ seconds: tenths(seconds), cpuSeconds: tenths(cpuSeconds) },
  };
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

const previewScript =
  "pulumi stack select many 2>/dev/null || pulumi stack init many >/dev/null; " +
  "exec pulumi preview --stack many --non-interactive";
