/**
 * Removes from clouds what a killed run had begun to make and no run will go on with: `remove-abandoned.ts <
 * EXPORTED-STATE`, after a run that came to a good end. Nothing that does not carry this project's marks is touched.
 */

import { text } from "node:stream/consumers";
import {
  abandonedIn,
  removeAbandoned,
} from "../../infra/platforms/abandoned.ts";

const exported: unknown = JSON.parse(await text(process.stdin));
for (const abandoned of abandonedIn(exported)) {
  const { label, place } = abandoned.inputs;
  try {
    console.error(
      `A killed run had begun to bring ${label} to ${place}, and nobody wants it any more: removing what is there.`,
    );
    await removeAbandoned(abandoned);
  } catch (error) {
    console.error(`That was not possible: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
