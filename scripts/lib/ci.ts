/** The program behind scripts/ci. */

import { PublicationError, StoreError, UserError } from "../../infra/errors.ts";

/** One command: its module is loaded when it is called, as most of them need much that the others do not. */
interface Command {
  /** What it does, in a line of `scripts/ci help`. */
  readonly purpose: string;
  readonly load: () => Promise<{
    /** @returns the exit code */
    run(args: readonly string[]): Promise<number>;
  }>;
}

const commands: Readonly<Record<string, Command>> = {};

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const isForUser = [UserError, StoreError, PublicationError].some(
    (kind) => error instanceof kind,
  );
  if (!isForUser || !(error instanceof Error)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function run([name = "help", ...args]: readonly string[]) {
  if (name === "help") {
    console.log(listing());
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    throw new UserError(
      `scripts/ci: there is no command ${JSON.stringify(name)}. Run scripts/ci help.`,
    );
  }
  return (await command.load()).run(args);
}

function listing(): string {
  const names = Object.keys(commands);
  const width = Math.max(...names.map((name) => name.length));
  return Object.entries(commands)
    .map(([name, { purpose }]) => `${name.padEnd(width)}  ${purpose}`)
    .join("\n");
}
