/** Keeps an engine from taking a program that was cut off for one that came to its end. */

import type * as pulumi from "@pulumi/pulumi";

/**
 * Makes the process end with an error unless something is reached before.
 *
 * A program whose connection to the engine is lost ends in silence and with exit code 0. The engine would then
 * believe that it declares nothing more, and delete what it did not come to declare.
 *
 * @param end resolves when everything is declared, whatever became of it
 */
export function failUnlessReached(end: pulumi.Output<unknown>): void {
  let isReached = false;
  end.apply(() => {
    isReached = true;
  });
  process.on("exit", (code) => {
    if (isReached || code !== 0) return;
    process.exitCode = 1;
    console.error(
      "The program ended before it had declared everything, so nothing is deleted. Run it again: what is done already is not done again.",
    );
  });
}
