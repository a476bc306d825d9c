/** The program: what `pulumi preview` and `pulumi up` run. */

import * as pulumi from "@pulumi/pulumi";
import { failUnlessReached } from "./completion.ts";
import {
  parseAccountConfig,
  parseConfig,
  parseGitlabConfig,
  type StackConfig,
} from "./config.ts";
import { StoreError, UserError } from "./errors.ts";
import type { GitlabConfig } from "./gitlab/gitlabConfig.ts";
import { declareImages, type ProgramOutputs } from "./program.ts";
import type { RunnerHostsConfig } from "./runners/runnerHostsConfig.ts";
import { leaveOutSdkDebugging } from "./sdkDebugging.ts";

leaveOutSdkDebugging();

async function declare(): Promise<ProgramOutputs> {
  try {
    const stack = pulumi.getStack();
    const values = pulumi.runtime.allConfig();
    const account = parseAccountConfig(stack, values);
    if (account !== undefined) {
      const { declareAccount } = await import("./accountProgram.ts");
      return declareAccount(account);
    }
    const gitlab = parseGitlabConfig(stack, values);
    if (gitlab === undefined) {
      return await declareAll(parseConfig(stack, values));
    }
    const declareSide = await prepareGitlab(gitlab.gitlab, gitlab.runnerHosts);
    return await declareSide();
  } catch (error) {
    const isForUser = error instanceof UserError || error instanceof StoreError;
    // A RunError is shown without a stack trace, which would say nothing to whoever can put it right.
    throw isForUser ? new pulumi.RunError(error.message) : error;
  }
}

/** Whatever may be wrong is found before the first of it is declared. */
async function declareAll(config: StackConfig): Promise<ProgramOutputs> {
  if (config.gitlab === undefined) return declareImages(config);
  const declareSide = await prepareGitlab(config.gitlab, config.runnerHosts);
  const images = await declareImages(config);
  const gitlab = await declareSide();
  return {
    summary: pulumi.interpolate`${images.summary}\n${gitlab.summary}`,
    end: pulumi.all([images.end, gitlab.end]),
  };
}

/** Checks what is said of GitLab and its machines. What comes back declares both. */
async function prepareGitlab(
  config: GitlabConfig,
  hosts: RunnerHostsConfig | undefined,
): Promise<() => Promise<ProgramOutputs>> {
  const { requireEncrypted } = await import("./encryptedFields.ts");
  const { declareGitlab, secretFields } = await import("./gitlabProgram.ts");
  await requireEncrypted("gitlab", secretFields(config));
  if (hosts === undefined) return async () => declareGitlab(config);
  const { declareRunnerHosts, secretHostFields } = await import(
    "./runnersProgram.ts"
  );
  await requireEncrypted("runnerHosts", secretHostFields(hosts));
  return async () => {
    const { summary, end, ...gitlab } = declareGitlab(config);
    const machines = await declareRunnerHosts(hosts, config, gitlab);
    return { summary, end: pulumi.all([end, machines]) };
  };
}

const { summary, end } = await declare();
// A preview knows too little to come to that end, and deletes nothing.
if (!pulumi.runtime.isDryRun()) failUnlessReached(end);

export { summary };
