/**
 * `publications`: `pulumi up` by the real engine when there is nothing to do, of ten images in twenty clouds of OpenStack
 * (a real Glance under twenty names). The images are small, and in the store before, as another runner left them; the
 * first `up`, which publishes them, is not counted.
 */

import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { variant } from "../tests/declaredProject.ts";
import { engineEnvironment } from "../tests/engine.ts";
import { EngineProject } from "../tests/engineProject.ts";
import { OpenstackCloud } from "../tests/servers/openstack.ts";
import { type Benchmark, measureCommand } from "./benchmark.ts";
import { type Comparison, isMeasured } from "./results.ts";

const images = 10;
const clouds = 20;
const goalSeconds = 15;
const mebibyte = 1024 ** 2;

export const publications: Benchmark = {
  summary: `an up without changes, of ${images * clouds} publications`,

  async run(context) {
    const servers = join(context.directory, "cloud");
    const directory = join(context.directory, "project");
    for (const path of [servers, directory]) await mkdir(path);
    await using cloud = await OpenstackCloud.start(servers);
    const project = new EngineProject(directory);
    await project.fill();
    await project.init();
    await describe(project, cloud);
    await project.prepareBuilds("20261121-1", {
      sizeBytes: 2 * mebibyte,
      pieces: [{ at: 0, content: randomBytes(mebibyte) }],
    });
    context.say(`publishing ${images * clouds} images …`);
    const { exitCode, output } = await project.run(["up", "--yes"]);
    if (exitCode !== 0) throw new Error(output);
    const environment = engineEnvironment(directory, [project.path("bin")]);
    const measured = await measureCommand(context, "publications, no change", [
      ...["env", `--chdir=${directory}`, "GOGC=400"],
      ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      ...["pulumi", "up", "--yes", "--expect-no-changes"],
      ...["--stack", "mine", "--non-interactive"],
    ]);
    const ours = "failed" in measured ? measured : measured.usage;
    const published = (await cloud.images()).length;
    return [comparisonOf(ours, published)];
  },
};

/** What it took, with what is asked of it. */
export function comparisonOf(
  ours: Comparison["ours"],
  published: number,
): Comparison {
  return {
    name: "publications",
    labels: { ours: "up without changes", theirs: "another tool" },
    ours,
    theirs: { skipped: "there is none that does the same." },
    details: { publications: published },
    notes: [
      `${published} publications`,
      ...(isMeasured(ours)
        ? [`${ours.seconds.toFixed(1)} s (at most ${goalSeconds})`]
        : []),
    ],
  };
}

/** Ten images that are alike but for their names, and a stack that sends them everywhere. */
async function describe(
  project: EngineProject,
  cloud: OpenstackCloud,
): Promise<void> {
  const names = Array.from({ length: images }, (_, index) => `tiny${index}`);
  await project.write(
    "image-definitions/images.yaml",
    JSON.stringify({
      releases: {
        trixie: {
          version: "13",
          suites: { debian: ["trixie"], security: ["trixie-security"] },
          systemd: 257,
          classes: [],
        },
      },
      architectures: { amd64: { classes: [] } },
      variants: Object.fromEntries(names.map((name) => [name, variant])),
      images: [
        { releases: ["trixie"], architectures: ["amd64"], variants: names },
      ],
    }),
  );
  const places = Array.from({ length: clouds }, (_, index) => `cloud${index}`);
  const entries = places.map((name) => [name, cloud.entry()]);
  await project.write(
    "clouds.yaml",
    JSON.stringify({ clouds: Object.fromEntries(entries) }),
  );
  await project.configure({
    definitions: ["debian-13-tiny*-amd64"],
    directory: undefined,
    openstack: {
      definitions: ["*"],
      clouds: Object.fromEntries(
        places.map((name) => [name, { format: "raw" }]),
      ),
    },
  });
}
