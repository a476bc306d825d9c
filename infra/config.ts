/** The stack's configuration: one typed object, checked as a whole before anything is declared. */

import { z } from "zod";
import {
  type AccountConfig,
  accountConfigSchema,
} from "./aws/account/accountConfig.ts";
import { type Definition, imageTypes } from "./definitions/definition.ts";
import type { ExpandedImage } from "./definitions/expand.ts";
import { describeIssue } from "./definitions/issues.ts";
import { isNamedBy, namePatternSchema } from "./definitions/namePattern.ts";
import { UserError } from "./errors.ts";
import { gitlabConfigSchema } from "./gitlab/gitlabConfig.ts";
import { azureConfigSchema } from "./platforms/azure/azureConfig.ts";
import { bucketConfigSchema } from "./platforms/bucket/bucketConfig.ts";
import { directoryConfigSchema } from "./platforms/directory/directoryConfig.ts";
import { ec2ConfigSchema } from "./platforms/ec2/ec2Config.ts";
import { gceConfigSchema } from "./platforms/gce/gceConfig.ts";
import { openstackConfigSchema } from "./platforms/openstack/openstackConfig.ts";
import { uploadsConfigSchema } from "./platforms/uploads.ts";
import {
  hostProblems,
  runnerHostsConfigSchema,
} from "./runners/runnerHostsConfig.ts";
import { imageKeySchema } from "./store/records.ts";
import { storeConfigSchema } from "./store/storeConfig.ts";

/** apt takes these; a password in an address would end up in every image. */
const mirror = z
  .string()
  .regex(
    /^(https?|mirror\+https?|file):\/[^\s@]+$/,
    "must be an address for apt, without user name or password",
  );

const snapshots = mirror.refine(
  (address) => address.includes("{timestamp}"),
  "must have {timestamp} where the moment belongs",
);

const stackConfigSchema = z.strictObject({
  definitions: z
    .array(namePatternSchema)
    .min(1)
    .describe(
      "Images that this stack builds and publishes: names, in which * stands for any characters",
    ),
  type: z
    .enum(imageTypes)
    .default("daily")
    .describe("What they are published as: the channel"),
  store: storeConfigSchema,
  directory: directoryConfigSchema.optional(),
  bucket: bucketConfigSchema.optional(),
  ec2: ec2ConfigSchema.optional(),
  gce: gceConfigSchema.optional(),
  openstack: openstackConfigSchema.optional(),
  uploads: uploadsConfigSchema.prefault({}),
  azure: azureConfigSchema.optional(),
  gitlab: gitlabConfigSchema.optional(),
  runnerHosts: runnerHostsConfigSchema.optional(),
  keys: z
    .array(imageKeySchema)
    .min(1)
    .optional()
    .describe(
      "Builds in the store that are published, one for each image, instead of what sources and archive give now",
    ),
  retention: z
    .strictObject({
      versions: z
        .int()
        // With one, a build that fails would leave nothing in service.
        .min(2)
        .describe(
          "How many versions of an image stay published, the newest included",
        ),
    })
    .prefault({ versions: 2 }),
  archive: z
    .strictObject({ debian: mirror, security: mirror })
    .optional()
    .describe("Package archives; this machine's own when left out"),
  snapshots: z
    .strictObject({ debian: snapshots, security: snapshots })
    .prefault({
      debian: "https://snapshot.debian.org/archive/debian/{timestamp}",
      security:
        "https://snapshot.debian.org/archive/debian-security/{timestamp}",
    })
    .describe("Where the archives of old moments are, for pinned images"),
});

/** The platforms' sections. */
const platformSections = [
  "directory",
  "bucket",
  "ec2",
  "gce",
  "azure",
  "openstack",
] as const;

const stackConfig = stackConfigSchema
  .refine(
    (config) => platformSections.some((name) => config[name] !== undefined),
    {
      path: platformSections.slice(0, 1),
      message: `is missing, and so is every other platform (${platformSections.slice(1).join(", ")}): say where images are published`,
    },
  )
  .superRefine(refuseWrongHosts);

const gitlabSections = {
  gitlab: gitlabConfigSchema,
  runnerHosts: runnerHostsConfigSchema.optional(),
} as const;

const gitlabStackConfig = z
  .strictObject(gitlabSections)
  .superRefine(refuseWrongHosts);

/** The configuration of a stack that only declares GitLab, with or without the machines of its runners. */
export type GitlabStackConfig = z.output<typeof gitlabStackConfig>;

/** What only several sections together show. */
function refuseWrongHosts(
  {
    gitlab,
    runnerHosts,
    store,
    bucket,
  }: Partial<
    Pick<
      z.output<typeof stackConfigSchema>,
      "gitlab" | "runnerHosts" | "store" | "bucket"
    >
  >,
  context: z.RefinementCtx,
): void {
  if (runnerHosts === undefined) return;
  const buckets = {
    ...(store !== undefined && "s3" in store
      ? { "store.s3.bucket": store.s3.bucket }
      : {}),
    ...(bucket === undefined ? {} : { "bucket.name": bucket.name }),
  };
  for (const { path, message } of hostProblems(runnerHosts, {
    gitlab,
    buckets,
  })) {
    context.addIssue({ code: "custom", path: [...path], message });
  }
}

/** A stack's configuration, with everything that it left out filled in. */
export type StackConfig = z.output<typeof stackConfigSchema>;

/** Keys of this project in Pulumi's configuration begin with it. */
export const configPrefix = "cloud-images:";

/** Texts by their keys, as Pulumi hands a stack's configuration to the program: lists and objects are JSON. */
export type ConfigValues = Readonly<Record<string, string>>;

/**
 * Checks what Pulumi has for a stack that publishes images.
 *
 * @throws {UserError} naming the file and each field that is wrong.
 */
export function parseConfig(stack: string, values: ConfigValues): StackConfig {
  const own = ownValues(values);
  if (Object.keys(own).length === 0) {
    throw new UserError(
      `The stack ${stack} has no configuration. Copy that of the stack local, and change what differs: ` +
        `cp Pulumi.local.yaml ${fileOf(stack)} (without its encryptionsalt), or scripts/pulumi config cp --stack local --dest ${stack}`,
    );
  }
  return checked(stack, stackConfig, own);
}

/**
 * Checks what Pulumi has for a stack that declares an AWS account, which is a stack of its own: administrators bring it
 * up, and what publishes images has no right to.
 *
 * @returns `undefined` for a stack that publishes images
 * @throws {UserError} naming the file and each field that is wrong.
 */
export function parseAccountConfig(
  stack: string,
  values: ConfigValues,
): AccountConfig | undefined {
  const { account, ...others } = ownValues(values);
  if (account === undefined) return undefined;
  const [other] = Object.keys(others);
  if (other !== undefined) {
    throw new UserError(
      `${fileOf(stack)}: ${configPrefix}account belongs into a stack of its own, without ${configPrefix}${other}: who publishes images is not to decide what publishing may do.`,
    );
  }
  const schema = z.strictObject({ account: accountConfigSchema });
  return checked(stack, schema, { account }).account;
}

/**
 * Checks what Pulumi has for a stack that only declares GitLab and its runners: whoever wants to keep its token and secrets from what publishes
 * images.
 *
 * @returns `undefined` for a stack that declares something else as well
 * @throws {UserError} naming the file and each field that is wrong.
 */
export function parseGitlabConfig(
  stack: string,
  values: ConfigValues,
): GitlabStackConfig | undefined {
  const own = ownValues(values);
  const isGitlabAlone =
    "gitlab" in own && Object.keys(own).every((key) => key in gitlabSections);
  return isGitlabAlone ? checked(stack, gitlabStackConfig, own) : undefined;
}

function checked<T>(
  stack: string,
  schema: z.ZodType<T>,
  values: Readonly<Record<string, unknown>>,
): T {
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${fileOf(stack)}: ${configPrefix}${describeIssue(issue)}`,
  );
  throw new UserError(problems.join("\n"));
}

function fileOf(stack: string): string {
  return `Pulumi.${stack}.yaml`;
}

/** This project's own values, without the beginning of their keys. */
function ownValues(values: ConfigValues): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([key]) => key.startsWith(configPrefix))
      .map(([key, value]) => [
        key.slice(configPrefix.length),
        jsonOrText(value),
      ]),
  );
}

function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/**
 * The definitions that a stack builds: for each entry of its configuration those that match, sorted by name, and
 * each of them once.
 *
 * @param all as images of the stack's type
 * @throws {UserError} for an entry that no image of the stack's type matches.
 */
export function chooseDefinitions(
  stack: string,
  { definitions, type }: StackConfig,
  all: readonly ExpandedImage[],
): readonly Definition[] {
  const chosen = definitions.flatMap((entry) => {
    const named = all.filter(({ definition }) =>
      isNamedBy(entry, definition.name),
    );
    const found = named.filter(({ types }) => types.includes(type));
    if (found.length > 0) return found.map(({ definition }) => definition);
    const here = `Pulumi.${stack}.yaml: ${configPrefix}definitions names ${JSON.stringify(entry)}`;
    const [other] = named;
    throw new UserError(
      other === undefined
        ? `${here}, which image-definitions does not describe. Described: ${all.map(({ definition }) => definition.name).join(", ")}.`
        : `${here}, and image-definitions has that as ${other.types.join(" or ")}, not as ${type}. ` +
            `Take it out, correct ${configPrefix}type, or let its group in image-definitions have that type.`,
    );
  });
  return [...new Set(chosen)];
}
