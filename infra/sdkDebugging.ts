/** What Pulumi's SDK does to be debugged itself, which a preview of hundreds of images pays for. */

import * as pulumi from "@pulumi/pulumi";

/**
 * Leaves out what the SDK does only for those who debug it:
 *
 * - a translation of stack traces for what it compiles itself, although nothing is compiled here;
 * - a message to the engine, one after the other, at three moments of each resource. The engine shows them with `--debug`
 *   alone, of which the program is not told; with PULUMI_OPTION_DEBUG=true, which is the same, it is, and they are sent.
 */
export function leaveOutSdkDebugging(): void {
  Reflect.deleteProperty(Error, "prepareStackTrace");
  if (isDebugging(process.env.PULUMI_OPTION_DEBUG)) return;
  Object.assign(pulumi.log, { debug: () => Promise.resolve() });
}

/** As the engine reads the variable. */
function isDebugging(value: string | undefined): boolean {
  return value === "true" || value === "1";
}

/**
 * Until the end of the block that holds the result with `using`, errors are made without a stack trace. The SDK takes one for
 * each of the four promises behind every property of a resource, and shows it with PULUMI_DEBUG_PROMISE_LEAKS alone, with
 * which it is taken.
 */
export function leaveOutTraces(): Disposable {
  const { stackTraceLimit } = Error;
  if (!process.env.PULUMI_DEBUG_PROMISE_LEAKS) Error.stackTraceLimit = 0;
  return {
    [Symbol.dispose]() {
      Error.stackTraceLimit = stackTraceLimit;
    },
  };
}
