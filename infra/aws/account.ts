/** Whose account credentials lead to. */

import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { UserError } from "../errors.ts";
import type { AwsAccess } from "./access.ts";
import { stsClient } from "./clients.ts";
import { awsFailure } from "./failures.ts";

/**
 * Makes sure that the credentials are of the account that the configuration names, if it names one.
 *
 * @throws {UserError} when they are of another.
 */
export async function checkAccount(access: AwsAccess): Promise<void> {
  const { account, profile, region } = access;
  if (account === undefined) return;
  const { Account } = await stsClient(access)
    .send(new GetCallerIdentityCommand({}))
    .catch((error: unknown) => {
      throw awsFailure("say whose the credentials are", access, error);
    });
  if (Account === account) return;
  const whose = profile === undefined ? "" : ` of the profile ${profile}`;
  throw new UserError(
    `The AWS credentials${whose} are of the account ${Account}, but for ${region} the configuration has account: "${account}". Use that account's credentials, or correct the configuration. Nothing was changed.`,
  );
}
