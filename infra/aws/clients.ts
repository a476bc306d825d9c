/** AWS SDK clients, each made from the settings of a region. Loaded where something is done, never by a preview alone. */

import { EBSClient } from "@aws-sdk/client-ebs";
import { EC2Client } from "@aws-sdk/client-ec2";
import { S3Client } from "@aws-sdk/client-s3";
import { STSClient } from "@aws-sdk/client-sts";
import {
  fromNodeProviderChain,
  fromTemporaryCredentials,
} from "@aws-sdk/credential-providers";
import type { AwsAccess } from "./access.ts";

/** What CloudTrail shows of a role that was taken on. */
const sessionName = "cloud-images";

/** Attempts of one call, the first included; the SDK waits longer and longer between them, with jitter. */
const usualAttempts = 8;

/** A server that does not take a connection, or says nothing on one that it took, is given up. */
const timeouts = { connectionTimeout: 10_000, socketTimeout: 60_000 } as const;

function settingsOf(
  { region, profile, assumeRole, endpoint }: AwsAccess,
  maxAttempts = usualAttempts,
) {
  const own = fromNodeProviderChain({
    ...(profile === undefined ? {} : { profile }),
    clientConfig: { region },
    // Whoever makes a client anew wants what the files say now.
    ignoreCache: true,
  });
  const credentials =
    assumeRole === undefined
      ? own
      : fromTemporaryCredentials({
          masterCredentials: own,
          params: { RoleArn: assumeRole, RoleSessionName: sessionName },
          clientConfig: {
            region,
            ...(endpoint === undefined ? {} : { endpoint }),
          },
        });
  return {
    region,
    credentials,
    maxAttempts,
    requestHandler: timeouts,
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}

/**
 * EBS direct: blocks of snapshots.
 *
 * @param attempts of one call; 1 for callers with a patience of their own
 */
export function ebsClient(access: AwsAccess, attempts?: number): EBSClient {
  return new EBSClient(settingsOf(access, attempts));
}

/**
 * Snapshots, AMIs and volumes.
 *
 * @param attempts of one call; 1 for callers with a patience of their own
 */
export function ec2Client(access: AwsAccess, attempts?: number): EC2Client {
  return new EC2Client(settingsOf(access, attempts));
}

/** Buckets; a server other than Amazon's has them in the path, as it has no name of its own for each. */
export function s3Client(access: AwsAccess): S3Client {
  return new S3Client({
    ...settingsOf(access),
    forcePathStyle: access.endpoint !== undefined,
  });
}

/** Who the credentials belong to. */
export function stsClient(access: AwsAccess): STSClient {
  return new STSClient(settingsOf(access));
}
