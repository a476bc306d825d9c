/** Whether an AMI is a published image: reads its disk, and compares that with what a store or the user says. */

import { type AwsAccess, awsAccessSchema } from "../../infra/aws/access.ts";
import { UserError } from "../../infra/errors.ts";
import {
  type AmiContents,
  verifyAmi,
} from "../../infra/platforms/ec2/verifyAmi.ts";
import { listPublications, readBuild } from "../../infra/store/documents.ts";
import type { PublicationRecord } from "../../infra/store/records.ts";
import type { Store } from "../../infra/store/store.ts";

/** Which AMI, and who says what it should hold. */
interface Question {
  readonly imageId: string;
  /** Where it is, unless its record says so. */
  readonly region: string | undefined;
  /** What its disk should be, in place of a store's record. */
  readonly sha256: string | undefined;
  readonly store: Store | undefined;
}

interface Answer {
  readonly isPublished: boolean;
  readonly text: string;
  readonly result: AmiContents & {
    readonly expectedSha256: string;
    readonly isPublished: boolean;
    /** The image that it is the publication of; only a store knows. */
    readonly definition?: string;
    readonly version?: string;
  };
}

/**
 * Reads the disk of an AMI and says whether it is the image.
 *
 * @throws {UserError} when neither a record nor the command line says what it should be, or it may not be read.
 */
export async function verifyPublishedAmi({
  imageId,
  region,
  sha256,
  store,
}: Question): Promise<Answer> {
  if (!/^ami-[0-9a-f]{8,17}$/.test(imageId)) {
    throw new UserError(
      `${JSON.stringify(imageId)} is no AMI's id, which looks like ami-0123456789abcdef0.`,
    );
  }
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new UserError("--sha256 takes 64 lower-case hex digits.");
  }
  const record =
    store === undefined ? undefined : await recordOf(store, imageId);
  const access = accessOf(region, record);
  const build =
    store === undefined || record === undefined
      ? undefined
      : await readBuild(store, record.key);
  const expectedSha256 =
    sha256 ?? build?.raw.sha256 ?? record?.verification?.sha256;
  if (expectedSha256 === undefined) {
    throw new UserError(
      `${store?.location} does not know ${imageId}. Name the stack that published it by --stack, or say what its disk should be by --sha256 and --region.`,
    );
  }
  const contents = await verifyAmi(
    access,
    imageId,
    (line) => console.error(line),
    build?.raw.sizeBytes,
  );
  const isPublished = contents.sha256 === expectedSha256;
  const name =
    record === undefined
      ? "the image"
      : `${record.definition.name} ${record.version}`;
  const verdict = isPublished
    ? `It is ${name}, to the byte.`
    : `It is NOT ${name}, whose disk has the sha256 ${expectedSha256}.`;
  return {
    isPublished,
    text: `${imageId} (${contents.name}) in ${access.region} starts from ${contents.snapshotId}, whose disk has the sha256 ${contents.sha256}.\n${verdict}`,
    result: {
      ...contents,
      ...{ expectedSha256, isPublished },
      ...(record === undefined
        ? {}
        : { definition: record.definition.name, version: record.version }),
    },
  };
}

async function recordOf(
  store: Store,
  imageId: string,
): Promise<PublicationRecord | undefined> {
  const records = await listPublications(store);
  return records.find(({ names }) => names?.imageId === imageId);
}

/** The region of the command line goes with the credentials at hand, that of a record with those of its stack. */
function accessOf(
  region: string | undefined,
  record: PublicationRecord | undefined,
): AwsAccess {
  const said =
    region === undefined
      ? record?.inputs.access
      : {
          region,
          ...(process.env.AWS_ENDPOINT_URL === undefined
            ? {}
            : { endpoint: process.env.AWS_ENDPOINT_URL }),
        };
  const parsed = awsAccessSchema.safeParse(said);
  if (parsed.success) return parsed.data;
  throw new UserError(
    region === undefined
      ? "Say where the AMI is, by --region."
      : `${JSON.stringify(region)} is not the name of a region.`,
  );
}
