/** What every program of this directory does: take a request, answer on standard output. */

import { UserError } from "../../infra/errors.ts";
import type { SideAnswer } from "../benchmark.ts";

/**
 * Does what the request on the command line asks for, and prints the answer as JSON. That this machine cannot do
 * it, which the project says by a {@link UserError}, is an answer, too.
 */
export async function answer<Request, Result>(
  work: (request: Request) => Promise<Result>,
): Promise<void> {
  const request = JSON.parse(process.argv[2] ?? "") as Request;
  try {
    print({ result: await work(request) });
  } catch (error) {
    if (error instanceof UserError) {
      print({ skipped: error.message });
    } else {
      // The last line is what people are shown.
      console.error(error instanceof Error ? error.message : error);
      process.exitCode = 1;
    }
  }
}

function print(answer: SideAnswer<unknown>): void {
  process.stdout.write(JSON.stringify(answer));
}
