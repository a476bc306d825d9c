/** A bucket on a local server that speaks S3, and a way to meddle with it behind the program's back. */

import { CreateBucketCommand, type S3Client } from "@aws-sdk/client-s3";
import { s3Client } from "../../infra/aws/clients.ts";
import type { BucketAccess } from "../../infra/aws/s3Failure.ts";

/** Any credentials will do for moto; no real ones are looked for. */
export function useTestCredentials(): void {
  process.env.AWS_ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE";
  process.env.AWS_SECRET_ACCESS_KEY =
    "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
  process.env.AWS_EC2_METADATA_DISABLED = "true";
}

/** A new bucket, and a client for what tests do to it. */
export async function makeBucket(
  endpoint: string,
  bucket: string,
): Promise<{ readonly access: BucketAccess; readonly client: S3Client }> {
  useTestCredentials();
  const access = { bucket, region: "eu-central-1", endpoint };
  const client = s3Client(access);
  const LocationConstraint = access.region as "eu-central-1";
  await client.send(
    new CreateBucketCommand({
      Bucket: bucket,
      CreateBucketConfiguration: { LocationConstraint },
    }),
  );
  return { access, client };
}
