/** Snapshots of an account as EC2 shows them; what is ours is found by its tags. */

import {
  DeleteSnapshotCommand,
  DescribeSnapshotsCommand,
  type EC2Client,
  type Snapshot,
} from "@aws-sdk/client-ec2";
import pRetry from "p-retry";
import type { AwsAccess } from "../../aws/access.ts";
import { ec2Client } from "../../aws/clients.ts";
import { awsErrorCode } from "../../aws/failures.ts";
import { type Patience, PatientCaller } from "../../aws/patientCaller.ts";
import { PublicationError } from "../../errors.ts";
import { carriesTags, tagFilters } from "./tags.ts";

/** Calls of EC2. */
export type Ec2Caller = PatientCaller<EC2Client>;

/** EC2 takes a snapshot for used for a while after its AMI was deregistered. */
export const usualInUseSeconds = 120;

/** How calls of EC2 are made; the SDK itself tries once. */
export function ec2Caller(access: AwsAccess, patience?: Patience): Ec2Caller {
  return new PatientCaller(access, () => ec2Client(access, 1), patience);
}

/**
 * The snapshot of that id, or `undefined` when there is none.
 * @throws {UserError | PublicationError} see {@link PatientCaller.call}.
 */
export async function findSnapshot(
  ec2: Ec2Caller,
  snapshotId: string,
): Promise<Snapshot | undefined> {
  const command = { SnapshotIds: [snapshotId] };
  try {
    const { Snapshots = [] } = await ec2.call(
      `look at the snapshot ${snapshotId}`,
      (client) => client.send(new DescribeSnapshotsCommand(command)),
      { isExpected: isNoSnapshot },
    );
    return Snapshots[0];
  } catch (error) {
    if (isNoSnapshot(error)) return undefined;
    throw error;
  }
}

/**
 * All snapshots of this account that carry these tags, the oldest first.
 * @throws {UserError | PublicationError} see {@link PatientCaller.call}.
 */
export async function snapshotsWithTags(
  ec2: Ec2Caller,
  tags: Readonly<Record<string, string>>,
): Promise<readonly Snapshot[]> {
  const found: Snapshot[] = [];
  let NextToken: string | undefined;
  do {
    const page = await ec2.call("look for snapshots", (client) =>
      client.send(
        new DescribeSnapshotsCommand({
          OwnerIds: ["self"],
          Filters: tagFilters(tags),
          ...(NextToken === undefined ? {} : { NextToken }),
        }),
      ),
    );
    found.push(...(page.Snapshots ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined && NextToken !== "");
  return found
    .filter(({ Tags }) => carriesTags(Tags, tags))
    .toSorted(
      (one, other) =>
        (one.StartTime?.getTime() ?? 0) - (other.StartTime?.getTime() ?? 0),
    );
}

/**
 * Deletes a snapshot; one that is gone is no error. EC2 goes on to take one for used for a while after its AMI was
 * deregistered.
 *
 * @param inUseSeconds how long it may still be in use
 * @throws {PublicationError} when an AMI uses it.
 */
export async function deleteSnapshot(
  ec2: Ec2Caller,
  SnapshotId: string,
  inUseSeconds: number,
): Promise<void> {
  const isExpected = (error: unknown) => isNoSnapshot(error) || isInUse(error);
  try {
    await pRetry(
      () =>
        ec2.call(
          `delete the snapshot ${SnapshotId}`,
          (client) => client.send(new DeleteSnapshotCommand({ SnapshotId })),
          { isExpected },
        ),
      {
        retries: Number.POSITIVE_INFINITY,
        maxRetryTime: inUseSeconds * 1000,
        maxTimeout: 5000,
        shouldRetry: ({ error }) => isInUse(error),
      },
    );
  } catch (error) {
    if (isNoSnapshot(error)) return;
    if (!isInUse(error)) throw error;
    throw new PublicationError(
      `The snapshot ${SnapshotId} cannot be deleted, as an AMI uses it. Deregister that AMI, or delete the stack's own by scripts/pulumi, and run again.`,
      { cause: error },
    );
  }
}

/**
 * Deletes all snapshots of this account that carry these tags, and returns their ids.
 *
 * @param inUseSeconds see {@link deleteSnapshot}
 * @throws {UserError | PublicationError} see {@link PatientCaller.call} and {@link deleteSnapshot}.
 */
export async function deleteSnapshotsWithTags(
  ec2: Ec2Caller,
  tags: Readonly<Record<string, string>>,
  inUseSeconds: number,
): Promise<readonly string[]> {
  const found = await snapshotsWithTags(ec2, tags);
  const ids = found.flatMap(({ SnapshotId }) => SnapshotId ?? []);
  for (const id of ids) await deleteSnapshot(ec2, id, inUseSeconds);
  return ids;
}

function isNoSnapshot(error: unknown): boolean {
  return awsErrorCode(error) === "InvalidSnapshot.NotFound";
}

function isInUse(error: unknown): boolean {
  return awsErrorCode(error) === "InvalidSnapshot.InUse";
}
