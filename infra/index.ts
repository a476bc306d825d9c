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
    return gitlab === undefined
      ? await declareAll(parseConfig(stack, values))
      : await declareOnlyGitlab(gitlab);
  } catch (error) {
    const isForUser = error instanceof UserError || error instanceof StoreError;
    // A RunError is shown without a stack trace, which would say nothing to whoever can put it right.
    throw isForUser ? new pulumi.RunError(error.message) : error;
  }
}

async function declareOnlyGitlab(
  config: GitlabConfig,
): Promise<ProgramOutputs> {
  const { declareGitlab, requireEncrypted } = await import(
    "./gitlabProgram.ts"
  );
  requireEncrypted(config);
  return declareGitlab(config);
}

/** Whatever may be wrong is found before the first of it is declared. */
async function declareAll(config: StackConfig): Promise<ProgramOutputs> {
  if (config.gitlab === undefined) return declareImages(config);
  const { declareGitlab, requireEncrypted } = await import(
    "./gitlabProgram.ts"
  );
  requireEncrypted(config.gitlab);
  const images = await declareImages(config);
  const gitlab = declareGitlab(config.gitlab);
  return {
    summary: pulumi.interpolate`${images.summary}\n${gitlab.summary}`,
    end: pulumi.all([images.end, gitlab.end]),
  };
}

const { summary, end } = await declare();
// A preview knows too little to come to that end, and deletes nothing.
if (!pulumi.runtime.isDryRun()) failUnlessReached(end);

export { summary };
