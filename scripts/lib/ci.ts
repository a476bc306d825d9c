/** The program behind scripts/ci. */

import { PublicationError, StoreError, UserError } from "../../infra/errors.ts";
import { placeCloudTokens } from "./ci/cloudTokens.ts";

/** One command: its module is loaded when it is called, as most of them need much that the others do not. */
interface Command {
  /** What it does, in a line of `scripts/ci help`. */
  readonly purpose: string;
  readonly load: () => Promise<{
    /** What `--help` says. */
    readonly usage?: string;
    /** @returns the exit code */
    run(args: readonly string[]): Promise<number>;
  }>;
}

const commands: Readonly<Record<string, Command>> = {
  affected: {
    purpose: "which images a change reaches, and a pipeline that builds them",
    load: () => import("./ci/affected.ts"),
  },
  build: {
    purpose: "one image, as a job makes it",
    load: () => import("./ci/build.ts"),
  },
  summary: {
    purpose: "what the jobs of a pipeline made of their images",
    load: () => import("./ci/summary.ts"),
  },
  update: {
    purpose: "stacks, brought up one after the other",
    load: () => import("./ci/update.ts"),
  },
  release: {
    purpose: "which builds a stack has published, by their exact keys",
    load: () => import("./ci/release.ts"),
  },
  "verify-release": {
    purpose: "whether the store still has what is to be released",
    load: () => import("./ci/verify-release.ts"),
  },
  preview: {
    purpose: "what bringing a stack up would do, as a document and a note",
    load: () => import("./ci/preview.ts"),
  },
  note: {
    purpose: "the note on a merge request, written or brought up to date",
    load: () => import("./ci/note.ts"),
  },
  drift: {
    purpose: "what was altered behind Pulumi's back",
    load: () => import("./ci/drift.ts"),
  },
  sources: {
    purpose: "what this checkout says of the images of a stack, as JSON",
    load: () => import("./ci/sources.ts"),
  },
};

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const message = messageFor(error);
  if (message === undefined) throw error;
  console.error(message);
  process.exitCode = 1;
}

async function run([
  name = "help",
  ...args
]: readonly string[]): Promise<number> {
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
  const { usage, run } = await command.load();
  if (usage !== undefined && (args.includes("--help") || args[0] === "-h")) {
    console.log(usage);
    return 0;
  }
  placeCloudTokens(process.env);
  return run(args);
}

/** What to say of an error that whoever called can put right. */
function messageFor(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const isForUser = [UserError, StoreError, PublicationError].some(
    (kind) => error instanceof kind,
  );
  if (isForUser) return error.message;
  const isOfArguments =
    "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS_");
  return isOfArguments
    ? `scripts/ci: ${error.message}. Run it with --help.`
    : undefined;
}

function listing(): string {
  const names = Object.keys(commands);
  const width = Math.max(...names.map((name) => name.length));
  return Object.entries(commands)
    .map(([name, { purpose }]) => `${name.padEnd(width)}  ${purpose}`)
    .join("\n");
}
