/** The pipeline that builds images, a job for each: what GitLab gets as a child of the project's own. Pure. */

import { stringify } from "yaml";
import type { Definition } from "../definitions/definition.ts";
import { UserError } from "../errors.ts";
import { definitionNameSchema } from "../store/records.ts";
import { imageFailed } from "./exitCodes.ts";

/** How images are built. */
export interface PipelineShape {
  /** The stack whose images they are; it says what they are made from and which formats they need. */
  readonly stack: string;
  /** The tag of the runners that are trusted with it, beside that of their architecture. */
  readonly tag: string;
  /** The container image of the jobs; none where runners have the shell executor. */
  readonly image?: string | undefined;
  /**
   * Whether builds go to the stack's own store, by a protected job with the cloud's credentials. Else each job has a
   * store that ends with it, and a newer push cancels it.
   */
  readonly inStore: boolean;
  /** Whether an image is built though one with the same packages is there. */
  readonly anew: boolean;
}

/**
 * GitLab.com has 500 jobs in a pipeline for free plans (limits of GitLab CI, "number of jobs in active pipelines");
 * other servers have what their administrators say. Some are left for the pipeline that this one is a child of.
 */
const mostJobs = 480;

/** What converting, reading back and setting a runner up may take beside building and booting. */
const otherMinutes = 45;

/** How long jobs keep what they found out. */
const keptFor = "14 days";

/** Below it, from the repository's root, each job has a directory of its image's name. */
export const jobsDirectory = ".state/jobs";

/** Failures that say nothing of the image, such as a runner that died. GitLab's `retry:when`. */
const runnerFailures = [
  "runner_system_failure",
  "stuck_or_timeout_failure",
  "scheduler_failure",
  "api_failure",
];

/**
 * The text of the pipeline. One without images has a job that says so, since GitLab refuses a pipeline without jobs.
 *
 * @throws {UserError} for more images than a pipeline has jobs, and for names, tags or container images that could be
 * anything else than that in YAML or a shell.
 */
export function childPipeline(
  images: readonly Pick<
    Definition,
    "name" | "architecture" | "allowFailure" | "build" | "bootCheck"
  >[],
  shape: PipelineShape,
): string {
  requireSafe("tag", shape.tag, /^[\w.:-]+$/);
  requireSafe("stack", shape.stack, /^[\w.-]+$/);
  requireSafe("container image", shape.image ?? "", /^[\w./:@-]*$/);
  if (images.length > mostJobs) {
    throw new UserError(
      `${images.length} images are more than the ${mostJobs} jobs that a pipeline of GitLab may have. Let cloud-images:definitions of the stack ${shape.stack} name fewer, or divide them among stacks.`,
    );
  }
  const jobs =
    images.length === 0
      ? { "nothing to build": nothing(shape) }
      : Object.fromEntries([
          ...images.map((image) => [
            `build: ${requireName(image.name)}`,
            buildJob(image, shape),
          ]),
          ["summary", summaryJob(images, shape)],
          ...(shape.inStore ? [] : [["preview", previewJob(shape)]]),
        ]);
  const pipeline = {
    // Without it GitLab takes jobs for those of branches, and a merge request's child would have none
    // (https://gitlab.com/gitlab-org/gitlab/-/issues/322012).
    workflow: { rules: [{ when: "always" }] },
    stages: ["build", "summary"],
    default: {
      ...(shape.image ? { image: shape.image } : {}),
      interruptible: !shape.inStore,
      retry: { max: 2, when: runnerFailures },
    },
    ...jobs,
  };
  return stringify(pipeline, { lineWidth: 0, aliasDuplicateObjects: false });
}

function buildJob(
  image: Pick<
    Definition,
    "name" | "architecture" | "allowFailure" | "build" | "bootCheck"
  >,
  { stack, tag, inStore, anew }: PipelineShape,
) {
  const { name, architecture, allowFailure, build, bootCheck } = image;
  const into = `${jobsDirectory}/${name}`;
  const workSeconds =
    build.timeoutSeconds + bootCheck.firmware.length * bootCheck.timeoutSeconds;
  return {
    stage: "build",
    needs: [],
    tags: [architecture, tag],
    timeout: `${Math.ceil(workSeconds / 60) + otherMinutes} minutes`,
    variables: { GIT_DEPTH: "1" },
    ...(inStore ? { id_tokens: cloudTokens } : {}),
    // Layers are large, and soon made of these.
    cache: {
      key: `${tag}-${architecture}`,
      paths: [".cache/build/packages/"],
      when: "always",
    },
    script: [
      [
        ...["scripts/ci build", name, "--stack", stack, "--into", into],
        ...(inStore ? ["--in-store"] : []),
        ...(anew ? ["--anew"] : []),
      ].join(" "),
    ],
    // Any other code is no failure of the image, such as a store that cannot be reached.
    allow_failure: allowFailure ? { exit_codes: [imageFailed] } : false,
    artifacts: {
      name,
      when: "always",
      expire_in: keptFor,
      paths: [`${into}/report/`],
      reports: { junit: [`${into}/report/**/*.xml`] },
    },
  };
}

/** It comes after a stage, as GitLab lets a job need 50 others at most; so it has the artifacts of all. */
function summaryJob(
  images: readonly Pick<Definition, "name">[],
  { tag }: PipelineShape,
) {
  const names = images.map(({ name }) => name);
  return {
    stage: "summary",
    tags: [tag],
    when: "always",
    variables: { GIT_DEPTH: "1" },
    script: [`scripts/ci summary ${names.join(" ")}`],
  };
}

/** The preview of the merge request once more, with what is known of packages now. */
function previewJob({ stack, tag }: PipelineShape) {
  return {
    stage: "summary",
    tags: [tag],
    when: "always",
    variables: { GIT_DEPTH: "1" },
    script: [
      `scripts/ci preview --stack ${stack} --builds ${jobsDirectory} --into preview`,
    ],
    environment: previewEnvironment,
    artifacts: { when: "always", expire_in: keptFor, paths: ["preview/"] },
  };
}

/** Its deployments tell the release project that there is a preview, as those of the job of that name before do. */
const previewEnvironment = {
  name: "preview/$CI_MERGE_REQUEST_IID",
  auto_stop_in: "1 week",
};

function nothing({ tag }: PipelineShape) {
  return {
    stage: "build",
    tags: [tag],
    variables: { GIT_STRATEGY: "none" },
    script: ["echo 'The change reaches no image: nothing has to be built.'"],
  };
}

/** What clouds take for credentials, by the names that scripts/ci knows (docs/pipeline.md). */
export const cloudTokens = {
  AWS_TOKEN: { aud: "$CI_SERVER_URL" },
  GOOGLE_TOKEN: { aud: "$CI_SERVER_URL" },
  AZURE_ID_TOKEN: { aud: "api://AzureADTokenExchange" },
};

function requireName(name: string): string {
  const parsed = definitionNameSchema.safeParse(name);
  if (parsed.success) return name;
  throw new UserError(
    `${JSON.stringify(name)} cannot be the name of an image: it must be lower-case letters, digits, dots and hyphens. Rename its release or variant in image-definitions/.`,
  );
}

function requireSafe(what: string, text: string, pattern: RegExp): void {
  if (pattern.test(text)) return;
  throw new UserError(
    `${JSON.stringify(text)} cannot be the ${what} of a job: it must be letters, digits and a few signs, without white space. Correct the project's CI/CD variables (docs/pipeline.md).`,
  );
}
