/** The command line of the benchmarks. Pure. */

import { parseArgs } from "node:util";
import { UserError } from "../infra/errors.ts";

/** What is to be done. */
export type Arguments =
  | { readonly kind: "help" }
  | {
      readonly kind: "run";
      /** At least one; each once, in the order given. */
      readonly names: readonly string[];
      readonly json: boolean;
    };

/**
 * Reads the command line.
 *
 * @param known names of the benchmarks
 * @throws {UserError} listing the names when none or an unknown one is given.
 */
export function parseArguments(
  args: readonly string[],
  known: readonly string[],
): Arguments {
  const { values, positionals } = parsed(args);
  if (values.help) return { kind: "help" };
  const list = `The benchmarks are: ${known.join(", ")}.`;
  if (positionals.length === 0) {
    throw new UserError(`Name at least one benchmark. ${list}`);
  }
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new UserError(`There is no benchmark ${unknown.join(", ")}. ${list}`);
  }
  return { kind: "run", names: [...new Set(positionals)], json: values.json };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${reason.replace(/\.?$/, ".")} See --help.`);
  }
}
