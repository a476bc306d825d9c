/** The provider of @pulumi/aws for one region of one account. */

import { Provider, type ProviderArgs } from "@pulumi/aws/provider.js";
import type * as pulumi from "@pulumi/pulumi";
import type { AwsAccess } from "./access.ts";

/** What another server than Amazon's stands for. */
const services = ["autoscaling", "ec2", "iam", "s3", "ssm", "sts"] as const;

/** The same settings as those of the SDK's clients (clients.ts). */
export function awsProvider(
  name: string,
  { region, account, profile, assumeRole, endpoint }: AwsAccess,
  options?: pulumi.ResourceOptions,
): Provider {
  const args: ProviderArgs = {
    region,
    ...(account === undefined ? {} : { allowedAccountIds: [account] }),
    ...(profile === undefined ? {} : { profile }),
    ...(assumeRole === undefined
      ? {}
      : {
          assumeRoles: [{ roleArn: assumeRole, sessionName: "cloud-images" }],
        }),
    ...(endpoint === undefined
      ? {}
      : {
          endpoints: [
            Object.fromEntries(services.map((service) => [service, endpoint])),
          ],
          // It has no name of its own for each bucket.
          s3UsePathStyle: true,
        }),
  };
  return new Provider(name, args, options);
}
