/** The program: what `pulumi preview` and `pulumi up` run. */

import * as pulumi from "@pulumi/pulumi";
import { failUnlessReached } from "./completion.ts";
import { parseAccountConfig, parseConfig } from "./config.ts";
import { StoreError, UserError } from "./errors.ts";
import { declareImages } from "./program.ts";
import { leaveOutSdkDebugging } from "./sdkDebugging.ts";

leaveOutSdkDebugging();

async function declare() {
  try {
    const stack = pulumi.getStack();
    const values = pulumi.runtime.allConfig();
    const account = parseAccountConfig(stack, values);
    if (account !== undefined) {
      const { declareAccount } = await import("./accountProgram.ts");
      return declareAccount(account);
    }
    return await declareImages(parseConfig(stack, values));
  } catch (error) {
    const isForUser = error instanceof UserError || error instanceof StoreError;
    // A RunError is shown without a stack trace, which would say nothing to whoever can put it right.
    throw isForUser ? new pulumi.RunError(error.message) : error;
  }
}

const { summary, end } = await declare();
// A preview knows too little to come to that end, and deletes nothing.
if (!pulumi.runtime.isDryRun()) failUnlessReached(end);

export { summary };
