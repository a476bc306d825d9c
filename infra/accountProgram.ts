/** What a stack declares that has the section `account`: an AWS account's bucket and roles. */

import * as pulumi from "@pulumi/pulumi";
import { Account } from "./aws/account/account.ts";
import type { AccountConfig } from "./aws/account/accountConfig.ts";
import { awsProvider } from "./aws/provider.ts";
import type { ProgramOutputs } from "./program.ts";

/** Declares what the account needs before anything can be published to it. */
export function declareAccount(config: AccountConfig): ProgramOutputs {
  const provider = awsProvider("account", config);
  const { releaseRole, previewRole } = new Account("account", {
    config,
    provider,
  });
  const lines = pulumi
    .all([releaseRole, previewRole])
    .apply(([releaseRole, previewRole]) => [
      `Account ${config.account}, ready to be published to by ${config.stacks.join(", ")}`,
      ...(config.bucket === undefined
        ? []
        : [`  Bucket:       ${config.bucket.name} in ${config.region}`]),
      ...(releaseRole === undefined ? [] : [`  Release role: ${releaseRole}`]),
      ...(previewRole === undefined ? [] : [`  Preview role: ${previewRole}`]),
    ]);
  return {
    summary: lines.apply((texts) => texts.join("\n")),
    end: pulumi.recover(lines, () => []),
  };
}
