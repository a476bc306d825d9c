/**
 * The documents a store keeps about each key and each publication. The program, retention and every
 * catalogue are made from these and from nothing else.
 *
 *     builds/<key>/build.json                    BuildRecord
 *     builds/<key>/build.log                     everything FAI and the assembly said
 *     builds/<key>/formats/<format>.json         FormatRecord
 *     builds/<key>/boot-checks/<firmware>.json   BootCheckRecord
 *     builds/<key>/boot-checks/<firmware>.log    the whole serial console
 *     builds/<key>/boot-checks/<firmware>.png    the display when the check ended
 *     builds/<key>/boot-checks/<firmware>.xml    JUnit
 *     builds/<key>/holders/<holder>.json         HolderRecord: which stacks declare the key
 *     failures/<key>/<step>.json                 FailureRecord
 *     runs/<stack>.json                          RunRecord
 *     place-failures/<stack>/<platform>[/<place>]/<definition>.json   PlaceFailureRecord
 *     publications/<platform>[/<place>]/<definition>/<version>.json   PublicationRecord of the channel `release`
 *     publications/<platform>[/<place>]/<definition>/<version>.<channel>.json   those of the others
 *
 * Each type is inferred from the schema beside it, so that what is checked when a record is read
 * cannot drift from what the program is told it gets.
 */

import { z } from "zod";
import {
  architectures,
  type Definition,
  type DefinitionName,
  type Firmware,
  firmwares,
  type ImageKey,
  type ImageVersion,
  imageTypes,
  reportMethods,
} from "../definitions/definition.ts";
import type { KeySources } from "../definitions/key.ts";
import type { ArchiveState } from "../image/archive.ts";
import { isSafeName } from "./names.ts";
import type { Sha256 } from "./store.ts";

/**
 * Files made from the raw image, by the endings that they are known by. `tar.zst`, `tar.xz` and `tar.gz` (Google's)
 * have the disk as one sparse member, `disk.raw`; `vhd` is of fixed size (Azure's), `vmdk` stream-optimised;
 * `root.tar.zst` has the files of the root file system, and `oci.tar` has them as an OCI image layout.
 */
export const formats = [
  "tar.zst",
  "qcow2",
  "tar.xz",
  "tar.gz",
  "vmdk",
  "vhd",
  "root.tar.zst",
  "oci.tar",
] as const;
export type Format = (typeof formats)[number];

/** 64 lower-case hex digits. */
const sha256Schema = branded<Sha256>(/^[0-9a-f]{64}$/, "a sha256 in hex");

/** 64 lower-case hex digits: a key is a sha256, too. */
export const imageKeySchema = branded<ImageKey>(
  /^[0-9a-f]{64}$/,
  "an image key (a sha256 in hex)",
);

/** `YYYYMMDD-N`. */
export const imageVersionSchema = branded<ImageVersion>(
  /^[0-9]{8}-[0-9]+$/,
  "a version (YYYYMMDD-N)",
);

/** `debian-<version>-<variant>-<architecture>`, and nothing that a path or a URL would have to quote. */
export const definitionNameSchema = branded<DefinitionName>(
  /^[a-z0-9][a-z0-9.-]*$/,
  "the name of a definition",
);

/** A relative path that leaves its root nowhere. */
const relativePathSchema = z
  .string()
  .refine(isSafeName, { error: "is not a safe relative path" });

const artifactSchema = z
  .object({ sha256: sha256Schema, sizeBytes: z.int().nonnegative() })
  .readonly();

/** ISO 8601, UTC. */
const momentSchema = z.iso.datetime();

const textByName = z.record(z.string(), z.string()).readonly();
const secondsByName = z.record(z.string(), z.number()).readonly();

/** Definitions of old do not say their suites: they had these. */
function withSuites(release: unknown): unknown {
  if (release === null || typeof release !== "object") return release;
  const { codename } = release as { codename?: unknown };
  return {
    suites: {
      debian: [codename, `${codename}-updates`],
      security: [`${codename}-security`],
    },
    ...release,
  };
}

/** The annotation makes the compiler complain when a definition gains a field that records would lose. */
const definitionSchema: z.ZodType<Definition> = z.object({
  name: definitionNameSchema,
  release: z.preprocess(
    withSuites,
    z.object({
      codename: z.string().regex(/^[a-z][a-z0-9-]*$/),
      version: z.string().min(1),
      suites: z.object({
        debian: z.array(z.string()),
        security: z.array(z.string()),
      }),
    }),
  ),
  architecture: z.enum(architectures),
  variant: z.string().min(1),
  description: z.string(),
  classes: z.array(z.string()),
  // Definitions of old have none: all of their packages were installed at once.
  layers: z.array(z.int()).default([]),
  disk: z.object({ sizeGiB: z.number().positive() }),
  build: z.object({
    timeoutSeconds: z.number().positive(),
    memoryMiB: z.number().positive(),
  }),
  bootCheck: z.object({
    firmware: z.array(z.enum(firmwares)),
    report: z.enum(reportMethods),
    rootGrows: z.boolean(),
    diskSizeGiB: z.number().positive(),
    memoryMiB: z.number().positive(),
    timeoutSeconds: z.number().positive(),
  }),
  allowFailure: z.boolean().default(false),
  alertAfterDays: z.number().positive().optional(),
  freshness: z
    .union([
      z.literal("always"),
      z.object({ everyHours: z.number() }),
      z.object({ pinned: z.string() }),
    ])
    .default("always"),
});

const archiveSchema: z.ZodType<ArchiveState> = z.object({
  mirror: z.object({
    debian: z.string(),
    security: z.string(),
    pinnedTo: z.string().optional(),
  }),
  suites: textByName,
  epochSeconds: z.number(),
});

const packageSchema = z
  .object({
    name: z.string().min(1),
    version: z.string().min(1),
    architecture: z.string().min(1),
  })
  .readonly();
export type Package = z.infer<typeof packageSchema>;

const sourcesSchema: z.ZodType<KeySources> = z.object({
  builder: z.string(),
  configSpace: z.array(
    z.object({
      path: relativePathSchema,
      executable: z.boolean(),
      sha256: z.string(),
    }),
  ),
});

export const buildRecordSchema = z
  .object({
    key: imageKeySchema,
    version: imageVersionSchema,
    definition: definitionSchema,
    builtAt: momentSchema,
    /** The package archive it was installed from, as it went into the key. */
    archive: archiveSchema,
    /** What else went into the key; builds of old have no such record. */
    sources: sourcesSchema.optional(),
    raw: artifactSchema,
    packages: z.array(packageSchema).readonly(),
    /** Seconds spent in each phase, in order. */
    phaseSeconds: secondsByName,
    /** Versions of the programs that took part: `fai-client`, `mmdebstrap`, `e2fsprogs`, … */
    tools: textByName,
  })
  .readonly();
/** One key, built. */
export type BuildRecord = z.infer<typeof buildRecordSchema>;

export const formatRecordSchema = z
  .object({
    format: z.enum(formats),
    /** The raw image it was made from. */
    rawSha256: z.string(),
    artifact: artifactSchema,
  })
  .readonly();
/** A file made from a raw image. */
export type FormatRecord = z.infer<typeof formatRecordSchema>;

export const bootCheckRecordSchema = z
  .object({
    firmware: z.enum(firmwares),
    rawSha256: z.string(),
    checkedAt: momentSchema,
    acceleration: z.enum(["kvm", "tcg"]),
    /** Seconds from qemu's start to each milestone, in order: `firmware`, `kernel`, `systemd`, `report`, `off`. */
    milestoneSeconds: secondsByName,
    /** `systemctl is-system-running`: always `running` in a record. */
    systemState: z.string(),
    units: z
      .object({
        active: z.int().nonnegative(),
        failed: z.array(z.string()).readonly(),
      })
      .readonly(),
    kernel: z.string(),
    rootSizeBytes: z.int().nonnegative(),
    secureBoot: z.boolean(),
  })
  .readonly();
/** One passed boot check. A failed one leaves no record. */
export type BootCheckRecord = z.infer<typeof bootCheckRecordSchema>;

export const holderRecordSchema = z
  .object({
    stack: z.string().min(1),
    /** Since when; older records lack it. */
    heldAt: z.iso.datetime().optional(),
  })
  .readonly();
/** One stack that declares a key; a build goes only when no holder is left. */
export type HolderRecord = z.infer<typeof holderRecordSchema>;

/** What can fail of an image, and is tried again less and less often. */
export type Step = "build" | `boot-${Firmware}`;

export const failureRecordSchema = z
  .object({
    key: imageKeySchema,
    definition: definitionNameSchema,
    step: z
      .enum(["build", ...firmwares.map((each) => `boot-${each}` as const)])
      .transform((step): Step => step),
    /** The stack whose attempt was the last one. */
    stack: z.string().min(1),
    /** How many in a row failed. */
    attempts: z.int().positive(),
    lastAttemptAt: momentSchema,
    message: z.string(),
    /** Where the log of the last attempt is, on the machine that made it: a file or a directory. */
    log: z.string(),
  })
  .readonly();
/** A build or boot check that failed, and did not succeed since. */
export type FailureRecord = z.infer<typeof failureRecordSchema>;

/** A platform's folder in the program: `directory`, `ec2`. */
const platformSchema = z.string().regex(/^[a-z][a-z0-9]*$/);

/** The name that a stack gives a region, account or cloud. */
export const placeNameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, {
  error: "must be a name of lower-case letters, digits and hyphens, 40 at most",
});

export const runRecordSchema = z
  .object({
    stack: z.string().min(1),
    startedAt: momentSchema,
    /** What it was to come to: the current key of each of the stack's definitions. */
    images: z
      .array(
        z.object({
          definition: definitionNameSchema,
          key: imageKeySchema,
          /** As what it was to be published; runs of old do not say. */
          channel: z.enum(imageTypes).optional(),
          /** Where it was to be published; runs of old do not say. */
          places: z
            .array(
              z.object({
                platform: platformSchema,
                place: placeNameSchema.optional(),
              }),
            )
            .readonly()
            .default([]),
        }),
      )
      .readonly(),
  })
  .readonly();
/** What a stack's last `up` declared. */
export type RunRecord = z.infer<typeof runRecordSchema>;
/** An image that it declared. */
export type DeclaredImage = RunRecord["images"][number];

/** Whether a publication is what a run was to come to; its stack and place are the caller's to compare. Pure. */
export function isDeclared(
  { definition, key, channel }: DeclaredImage,
  record: Pick<PublicationRecord, "definition" | "key" | "channel">,
): boolean {
  return (
    record.definition.name === definition &&
    record.key === key &&
    (channel === undefined || record.channel === channel)
  );
}

export const placeFailureRecordSchema = z
  .object({
    stack: z.string().min(1),
    definition: definitionNameSchema,
    platform: platformSchema,
    place: placeNameSchema.optional(),
    failedAt: momentSchema,
    message: z.string(),
  })
  .readonly();
/** What last went wrong with an image in a place: also with its name there, or with an older version of it. */
export type PlaceFailureRecord = z.infer<typeof placeFailureRecordSchema>;

const publishedFileSchema = z
  .object({
    /** Relative to the publication's root: `trixie/20261121-0312/debian-13-….qcow2`. */
    path: relativePathSchema,
    sizeBytes: z.int().nonnegative(),
    /** 128 lower-case hex digits. */
    sha512: z
      .string()
      .regex(/^[0-9a-f]{128}$/, { error: "is not a sha512 in hex" }),
  })
  .readonly();
export type PublishedFile = z.infer<typeof publishedFileSchema>;

const verificationSchema = z
  .object({
    /** Of the whole disk, zeros included; only where all of it was read. */
    sha256: sha256Schema.optional(),
    /** How many of its blocks were read and compared, and how many it has. */
    readBlocks: z.int().nonnegative(),
    allBlocks: z.int().nonnegative(),
    verifiedAt: momentSchema,
  })
  .readonly();
/** How a platform's copy was compared with the artifact. */
export type Verification = z.infer<typeof verificationSchema>;

export const publicationRecordSchema = z
  .object({
    platform: platformSchema,
    /** Which region, account or cloud of the platform, by the name that the stack gives it. */
    place: placeNameSchema.optional(),
    /** `organization/project/stack` that made it. */
    stack: z.string().min(1),
    key: imageKeySchema,
    version: imageVersionSchema,
    definition: definitionSchema,
    /** Records of old do not say it: their files are where those of `release` are now. */
    channel: z.enum(imageTypes).default("release"),
    publishedAt: momentSchema,
    /** What the platform's own resource was given, so that an older version can be declared again unchanged. */
    inputs: z.record(z.string(), z.unknown()).readonly(),
    /** What was made available as files. */
    files: z.array(publishedFileSchema).readonly(),
    /** What else the platform knows it by, such as `imageId`. */
    names: textByName.optional(),
    /** What was read back there, where the platform can. */
    verification: verificationSchema.optional(),
  })
  .readonly();
/** One version made available on one platform: written when complete and verified, removed with it. */
export type PublicationRecord = z.infer<typeof publicationRecordSchema>;

function branded<T extends string>(pattern: RegExp, what: string) {
  return z
    .string()
    .regex(pattern, { error: `is not ${what}` })
    .transform((text) => text as T);
}
