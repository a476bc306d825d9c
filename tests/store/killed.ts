/** Programs that are killed in the middle of something, to see what the next one makes of the remains. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Runs a module's source in a Node process of its own until it prints `ready`, then kills it without
 * warning and waits for its end. Relative imports are from the repository.
 */
export async function runUntilReadyAndKill(source: string): Promise<void> {
  const child = await runUntilReady(source);
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** The same, left running: the caller ends it. */
export async function runUntilReady(source: string): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    ["--no-warnings", "--input-type=module-typescript", "--eval", source],
    { cwd: repository, stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  await new Promise<void>((ready, fail) => {
    const gather = (chunk: Buffer) => {
      output += chunk;
      if (output.includes("ready")) ready();
    };
    child.stdout.on("data", gather);
    child.stderr.on("data", gather);
    child.once("exit", () => fail(new Error(`It ended: ${output}`)));
  });
  return child;
}

const repository = new URL("../../", import.meta.url).pathname;
