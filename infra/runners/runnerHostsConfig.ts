/** The machines of runners in a stack's configuration. */

import { z } from "zod";
import { awsAccessSchema } from "../aws/access.ts";
import { subscriptionAccessSchema } from "../azure/access.ts";
import { regions as azureRegions } from "../azure/regions.ts";
import { architectures } from "../definitions/definition.ts";
import type {
  GitlabConfig,
  GitlabRunnerConfig,
} from "../gitlab/gitlabConfig.ts";
import { ownNameSchema } from "../gitlab/projectConfig.ts";
import { scheduleProblem } from "../gitlab/schedule.ts";
import { googleAccessSchema } from "../google/access.ts";

/** The longest that fits into the names that clouds take: 30 characters for a service account of Google's. */
const hostNameCharacters = 20;

/**
 * GitLab notes a contact of a runner once in 40 to 55 minutes (UPDATE_CONTACT_COLUMN_EVERY of its sources): less says nothing
 * about the runner.
 */
const shortestSilenceMinutes = 60;

const commonFields = {
  runners: z
    .array(ownNameSchema)
    .min(1)
    .describe("Names in gitlab.runners: whose jobs its machines run"),
  architecture: z
    .enum(architectures)
    .default("amd64")
    .describe("Its machines' own; what else its runners build is emulated"),
  tests: z
    .boolean()
    .default(false)
    .describe("Whether its jobs run scripts/test, which needs more packages"),
  concurrent: z
    .union([z.literal("auto"), z.int().min(1).max(256)])
    .default("auto")
    .describe(
      "Jobs at once on a machine; auto is one for each two cores and each 3.5 GiB of memory",
    ),
  diskSharePercent: z
    .int()
    .min(10)
    .max(95)
    .default(70)
    .describe("When more of the disk is in use, caches of builds are emptied"),
  archive: z
    .strictObject({
      url: z
        .string()
        .regex(/^https?:\/\/[^\s@]+$/, "must be an address for apt")
        // docs.gitlab.com, "Install GitLab Runner using the official GitLab repositories".
        .default("https://packages.gitlab.com/runner/gitlab-runner/debian"),
      keyUrl: z
        .string()
        .regex(/^https?:\/\/[^\s@]+$/, "must be the address of a key")
        .default("https://packages.gitlab.com/gpg.key"),
      key: z
        .string()
        .regex(
          /^[0-9A-F]{40}$/,
          "must be a key's fingerprint: 40 digits of 0-9A-F",
        )
        // docs.gitlab.com, "Linux package signatures"; it ends on 2028-02-06.
        .default("F6403F6544A38863DAA0B6E03F01618A51312F3F"),
    })
    .prefault({})
    .describe(
      "Where gitlab-runner comes from, and the key that signs it; GitLab's own when left out",
    ),
  silentMinutes: z
    .int()
    .min(
      shortestSilenceMinutes,
      `must be ${shortestSilenceMinutes} or more: GitLab notes contacts of a runner no more often`,
    )
    .optional()
    .describe(
      "How long GitLab may hear nothing of its runners before that counts as drift; 120, or 8 days where hours leave no machine outside of them",
    ),
} as const;

/** 0..N machines: all of them always, or the most of them within hours and the fewest outside. */
const fleetFields = {
  machines: z
    .strictObject({
      min: z.int().min(0).max(100).default(0),
      max: z.int().min(1).max(100).default(1),
    })
    .refine(({ min, max }) => min <= max, {
      path: ["min"],
      message: "must not be more than max",
    })
    .prefault({}),
  hours: z
    .strictObject({
      from: z.int().min(0).max(23),
      to: z.int().min(1).max(23),
      days: z
        .array(z.int().min(0).max(6))
        .min(1)
        .default([1, 2, 3, 4, 5])
        .describe("0 is Sunday"),
      timezone: z.string().default("UTC"),
    })
    .superRefine(({ from, to, timezone }, context) => {
      if (from >= to) {
        context.addIssue({
          code: "custom",
          path: ["to"],
          message: "must be later than from, on the same day",
        });
      }
      const problem = scheduleProblem({ cron: `0 ${from} * * *`, timezone });
      if (problem === undefined) return;
      context.addIssue({
        code: "custom",
        path: [problem.field],
        message: problem.message,
      });
    })
    .optional()
    .describe(
      "Whole hours in which there are machines.max machines, and machines.min outside; always machines.max when left out",
    ),
  kvm: z
    .boolean()
    .default(false)
    .describe(
      "Whether machines have /dev/kvm, so that boot checks need no emulation",
    ),
  spot: z
    .boolean()
    .default(false)
    .describe("Whether the cloud may take machines away, for a lower price"),
  diskGiB: z
    .int()
    .min(30, "must be 30 or more: a checkout, its tools and one build take 20")
    .max(16_000)
    .default(100),
  publicAddress: z
    .boolean()
    .default(false)
    .describe("Whether machines reach the internet by addresses of their own"),
} as const;

/** Families of EC2 with nested virtualisation (EC2 user guide, "Use nested virtualization"), and whole machines. */
const nestedInstance = /^[cmr]8i[a-z]*(-flex)?\./;
const wholeInstance = /\.metal(-\w+)?$/;

export const ec2HostSchema = awsAccessSchema
  .extend({
    kind: z.literal("ec2"),
    ...commonFields,
    ...fleetFields,
    image: z
      .string()
      .regex(/^ami-[0-9a-f]{8,17}$/, "must be the id of an AMI")
      .describe("Debian 12 or 13, with cloud-init"),
    instanceTypes: z
      .array(
        z
          .string()
          .regex(
            /^[a-z0-9-]+\.[a-z0-9-]+$/,
            "must be an instance type, such as m8i.xlarge",
          ),
      )
      .min(1)
      .describe("The first that there is; with spot, whichever is cheap"),
    vpc: z.string().regex(/^vpc-[0-9a-f]+$/, "must be the id of a VPC"),
    subnets: z
      .array(
        z.string().regex(/^subnet-[0-9a-f]+$/, "must be the id of a subnet"),
      )
      .min(1),
    cache: z
      .strictObject({
        bucket: z
          .string()
          .regex(
            /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
            "must be the name of a bucket, without s3://",
          ),
      })
      .optional()
      .describe("Where cache: of jobs outlives a machine"),
  })
  .superRefine(({ kvm, spot, instanceTypes }, context) => {
    if (!kvm) return;
    if (spot && !instanceTypes.every((type) => wholeInstance.test(type))) {
      context.addIssue({
        code: "custom",
        path: ["spot"],
        message:
          "does not go with kvm: EC2 gives nested virtualisation to no spot instance. Name .metal types alone, or let one of the two be false",
      });
    }
    for (const [index, type] of instanceTypes.entries()) {
      if (nestedInstance.test(type) || wholeInstance.test(type)) continue;
      context.addIssue({
        code: "custom",
        path: ["instanceTypes", index],
        message:
          "has no /dev/kvm: name a type of the families c8i, m8i or r8i, or a .metal one, or let kvm be false",
      });
    }
    const kinds = new Set(
      instanceTypes.map((type) => wholeInstance.test(type)),
    );
    if (kinds.size > 1) {
      context.addIssue({
        code: "custom",
        path: ["instanceTypes"],
        message:
          "must all be .metal, or none: the others need an option that those do not take",
      });
    }
  });
export type Ec2HostConfig = z.output<typeof ec2HostSchema>;

/** Series of Compute Engine without nested virtualisation: E2, memory-optimised ones, AMD's and Arm's processors (its overview). */
const flatMachine = /^(e2|m[1-4]|x4|[cnt]\d+d|h4d|h3|[cnt]\d+a|g4|f1|g1)-/;

export const gceHostSchema = googleAccessSchema
  .extend({
    kind: z.literal("gce"),
    ...commonFields,
    ...fleetFields,
    region: z
      .string()
      .regex(/^[a-z]+-[a-z]+\d+$/, "must be a region, such as europe-west3"),
    zones: z
      .array(
        z
          .string()
          .regex(
            /^[a-z]+-[a-z]+\d+-[a-z]$/,
            "must be a zone, such as europe-west3-a",
          ),
      )
      .min(1)
      .optional(),
    image: z
      .string()
      .regex(
        /^([a-z][a-z0-9-]+\/[a-z0-9-]+|projects\/[a-z0-9:.-]+\/global\/images\/(family\/)?[a-z0-9-]+)$/,
        "must be an image or its family, such as debian-cloud/debian-13",
      ),
    boot: z
      .enum(["startup-script", "cloud-init"])
      .default("startup-script")
      .describe(
        "What the image reads; Debian's own for Google have no cloud-init",
      ),
    machineType: z
      .string()
      .regex(
        /^[a-z]\d+[a-z]*-[a-z0-9-]+$/,
        "must be a machine type, such as n2-standard-4",
      ),
    network: z.string().regex(/^[\w./:-]+$/, "must be the name of a network"),
    subnetwork: z
      .string()
      .regex(/^[\w./:-]+$/, "must be the name of a subnetwork"),
  })
  .refine(({ kvm, machineType }) => !kvm || !flatMachine.test(machineType), {
    path: ["machineType"],
    message:
      "has no nested virtualisation: name one with a processor of Intel's that is neither E2 nor memory-optimised, such as n2-standard-4, or let kvm be false",
  });
export type GceHostConfig = z.output<typeof gceHostSchema>;

/** Sizes of Azure whose pages give nested virtualisation as supported: D, E and F with Intel or AMD, from v3 on (F from v2 on). */
const nestedSize =
  /^Standard_[DE]\d+(-\d+)?[a-oq-z]*_v([3-9]|\d\d)$|^Standard_F\d+[a-oq-z]*_v([2-9]|\d\d)$/;

export const azureHostSchema = subscriptionAccessSchema
  .extend({
    kind: z.literal("azure"),
    ...commonFields,
    ...fleetFields,
    resourceGroup: z
      .string()
      .regex(/^[\w().-]{1,90}$/, "must be the name of a resource group"),
    location: z.enum(azureRegions, "must be a region, such as westeurope"),
    size: z
      .string()
      .regex(/^Standard_[\w-]+$/, "must be a size, such as Standard_D4s_v5"),
    image: z
      .string()
      .regex(
        /^[\w.-]+:[\w.-]+:[\w.-]+:(latest|[\d.]+)$/,
        "must be an image as az calls it, such as Debian:debian-13:13-gen2:latest",
      ),
    subnet: z
      .string()
      .regex(
        /^\/subscriptions\/[0-9a-f-]{36}\/resourceGroups\/[^/]+\/providers\/Microsoft\.Network\/virtualNetworks\/[^/]+\/subnets\/[^/]+$/i,
        "must be the resource ID of a subnet",
      ),
    sshKey: z
      .string()
      .regex(
        /^(ssh-(rsa|ed25519)) [A-Za-z0-9+/]+=*( .*)?$/,
        "must be a public key",
      )
      .describe(
        "Azure makes no machine without one; no rule lets anybody in with it",
      ),
  })
  .superRefine(({ kvm, size, hours }, context) => {
    if (kvm && !nestedSize.test(size)) {
      context.addIssue({
        code: "custom",
        path: ["size"],
        message:
          "has no nested virtualisation that we know of: name one of the families D and E from v3 on or F from v2 on, such as Standard_D4s_v5, or let kvm be false",
      });
    }
    if (hours !== undefined && hours.timezone !== "UTC") {
      context.addIssue({
        code: "custom",
        path: ["hours", "timezone"],
        message:
          "must be UTC: Azure's scales know other zones by names of Windows",
      });
    }
  });
export type AzureHostConfig = z.output<typeof azureHostSchema>;

export const existingHostSchema = z.strictObject({
  kind: z.literal("existing"),
  ...commonFields,
  address: z
    .string()
    .regex(
      /^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$/,
      "must be the name or address of a machine",
    ),
  port: z.int().min(1).max(65_535).default(22),
  user: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]*$/, "must be the name of a user")
    .default("root")
    .describe("root, or who may become root by sudo without a password"),
  hostKey: z
    .string()
    .regex(
      /^(ssh-(rsa|ed25519)|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=*$/,
      "must be the machine's public key, as /etc/ssh/ssh_host_ed25519_key.pub there begins: its kind and the key, without the comment",
    )
    .describe("Nothing is sent to a machine that has another"),
  privateKey: z
    .string()
    .regex(
      /^-----BEGIN [A-Z ]*PRIVATE KEY-----\n/,
      "must be a private key of OpenSSH's or PEM",
    )
    .optional()
    .describe("A secret of the stack; the ssh agent's keys when left out"),
});
export type ExistingHostConfig = z.output<typeof existingHostSchema>;

const hostSchema = z.discriminatedUnion("kind", [
  ec2HostSchema,
  gceHostSchema,
  azureHostSchema,
  existingHostSchema,
]);
/** One or more machines that are alike. */
export type HostConfig = z.output<typeof hostSchema>;

export const runnerHostsConfigSchema = z
  .record(
    ownNameSchema.max(
      hostNameCharacters,
      `must have ${hostNameCharacters} characters at most`,
    ),
    hostSchema,
  )
  .describe("Machines of the runners that gitlab.runners declares");
export type RunnerHostsConfig = z.output<typeof runnerHostsConfigSchema>;

/** What may reach what: jobs of merge requests, which anybody can change, or those of protected branches. */
export type Trust = "merge" | "release";

export function trustOf({
  protected: isProtected,
}: Pick<GitlabRunnerConfig, "protected">): Trust {
  return isProtected ? "release" : "merge";
}

/** Architectures whose jobs a runner takes, by its tags. */
export function architecturesOf({
  tags,
}: Pick<GitlabRunnerConfig, "tags">): readonly string[] {
  return architectures.filter((each) => tags.includes(each));
}

/** Something that one of the two sections says and the other does not allow. */
export interface HostProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What a machine shares with all others that have it, too, by the field that says it. */
function sharedBy(host: HostConfig): readonly {
  readonly path: readonly (string | number)[];
  readonly id: string;
}[] {
  switch (host.kind) {
    case "ec2":
      return [
        ...host.subnets.map((id, index) => ({ path: ["subnets", index], id })),
        ...(host.cache === undefined
          ? []
          : [{ path: ["cache", "bucket"], id: `s3://${host.cache.bucket}` }]),
      ];
    case "gce":
      return [{ path: ["subnetwork"], id: subnetworkPath(host) }];
    case "azure":
      return [{ path: ["subnet"], id: host.subnet.toLowerCase() }];
    case "existing":
      return [
        { path: ["address"], id: host.address.toLowerCase() },
        // One machine has many addresses, and one key.
        { path: ["hostKey"], id: host.hostKey },
      ];
  }
}

/** The same for all ways to name a subnetwork, which may be that of another project. */
function subnetworkPath({
  project,
  region,
  subnetwork,
}: Pick<GceHostConfig, "project" | "region" | "subnetwork">): string {
  const named =
    /(?:projects\/([^/]+)\/)?regions\/([^/]+)\/subnetworks\/([^/]+)$/.exec(
      subnetwork,
    );
  return `projects/${named?.[1] ?? project}/regions/${named?.[2] ?? region}/subnetworks/${named?.[3] ?? subnetwork}`;
}

/** What else a stack declares that its hosts have to fit, or keep away from. */
export interface HostSurroundings {
  readonly gitlab?: Pick<GitlabConfig, "runners"> | undefined;
  /** Names of the stack's own buckets in S3, where alone caches are, by the fields that say them. */
  readonly buckets: Readonly<Record<string, string>>;
}

/** Everything about hosts that contradicts the runners of GitLab, or the boundary between the two kinds of trust. Pure. */
export function hostProblems(
  hosts: RunnerHostsConfig,
  { gitlab, buckets }: HostSurroundings,
): readonly HostProblem[] {
  if (gitlab === undefined) {
    return [
      {
        path: ["runnerHosts"],
        message:
          "needs the section gitlab in the same stack: its runners have the tokens",
      },
    ];
  }
  const { runners } = gitlab;
  const known = Object.entries(hosts).flatMap(([name, host]) => {
    const trusts = host.runners.flatMap((runner) => {
      const found = runners[runner];
      return found === undefined ? [] : [trustOf(found)];
    });
    return trusts[0] === undefined ? [] : [{ name, host, trust: trusts[0] }];
  });
  return [
    ...Object.entries(hosts).flatMap(([name, host]) =>
      runnerProblems(name, host, runners),
    ),
    ...Object.entries(hosts).flatMap(([name, host]) =>
      cacheProblems(name, host, buckets),
    ),
    ...known.flatMap((one, index) =>
      known.slice(0, index).flatMap((other) => boundaryProblems(one, other)),
    ),
  ];
}

function runnerProblems(
  name: string,
  host: HostConfig,
  runners: GitlabConfig["runners"],
): readonly HostProblem[] {
  const seen = new Map<Trust, string>();
  return host.runners.flatMap((runner, index): readonly HostProblem[] => {
    const path = ["runnerHosts", name, "runners", index];
    const found = runners[runner];
    if (found === undefined) {
      return [
        {
          path,
          message: `names ${runner}, which gitlab.runners does not describe`,
        },
      ];
    }
    if (host.runners.indexOf(runner) < index) {
      return [{ path, message: `names ${runner} twice` }];
    }
    const trust = trustOf(found);
    seen.set(trust, seen.get(trust) ?? runner);
    const [first, second] = [...seen.values()];
    if (second !== undefined) {
      return [
        {
          path,
          message: `puts ${first} and ${second} onto one machine, and only one of them is protected: jobs of merge requests would reach those that release. Have a host for each`,
        },
      ];
    }
    return [
      ...tagProblems(runner, found),
      ...kvmProblems(name, host, runner, found),
    ];
  });
}

/** Jobs that need /dev/kvm ask for it by a tag. Of a machine that exists nobody here knows whether it has one. */
function kvmProblems(
  name: string,
  host: HostConfig,
  runner: string,
  { tags }: GitlabRunnerConfig,
): readonly HostProblem[] {
  if (host.kind === "existing" || host.kvm === tags.includes("kvm")) return [];
  return [
    host.kvm
      ? {
          path: ["gitlab", "runners", runner, "tags"],
          message: `must have kvm, as the machines of runnerHosts.${name} have it: jobs ask for it`,
        }
      : {
          path: ["runnerHosts", name, "kvm"],
          message: `must be true, as ${runner} has the tag kvm, or that tag has to go: jobs that ask for it would come to machines without`,
        },
  ];
}

/** Jobs name an architecture and a trust, both as tags. */
function tagProblems(
  name: string,
  runner: GitlabRunnerConfig,
): readonly HostProblem[] {
  const path = ["gitlab", "runners", name, "tags"];
  const trust = trustOf(runner);
  const other = trust === "merge" ? "release" : "merge";
  return [
    ...(architecturesOf(runner).length > 0
      ? []
      : [
          {
            path,
            message: `must have the architecture that it builds: ${architectures.join(", ")}`,
          },
        ]),
    ...(runner.tags.includes(trust) && !runner.tags.includes(other)
      ? []
      : [
          {
            path,
            message: `must have ${trust} and not ${other}, as protected is ${runner.protected}: jobs ask for it`,
          },
        ]),
  ];
}

/** Its machines may write every object of the bucket that their cache is in. */
function cacheProblems(
  name: string,
  host: HostConfig,
  buckets: HostSurroundings["buckets"],
): readonly HostProblem[] {
  if (host.kind !== "ec2" || host.cache === undefined) return [];
  const { bucket } = host.cache;
  return Object.entries(buckets)
    .filter(([, other]) => other === bucket)
    .map(([field]) => ({
      path: ["runnerHosts", name, "cache", "bucket"],
      message: `is that of ${field}, too, and all of its machines may write there: have a bucket for the cache alone`,
    }));
}

interface TrustedHost {
  readonly name: string;
  readonly host: HostConfig;
  readonly trust: Trust;
}

function boundaryProblems(
  { name, host, trust }: TrustedHost,
  other: TrustedHost,
): readonly HostProblem[] {
  const others = sharedBy(other.host);
  return sharedBy(host).flatMap(({ path, id }): readonly HostProblem[] => {
    if (!others.some((each) => each.id === id)) return [];
    const field = ["runnerHosts", name, ...path];
    if (trust !== other.trust) {
      return [
        {
          path: field,
          message: `is that of ${other.name}, too, whose runners are ${other.trust === "release" ? "" : "not "}protected: give each its own`,
        },
      ];
    }
    return host.kind === "existing"
      ? [
          {
            path: field,
            message: `is that of ${other.name}, too: have one host with the runners of both`,
          },
        ]
      : [];
  });
}
