/** Programs that serve on loopback while a test runs. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

/** What to start, and how to tell that it is ready. */
export interface ServerProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What it prints when it listens; its first group is the port. */
  readonly ready: RegExp;
}

/** How long a server may take to begin: they take seconds on a machine that has other work. */
const startSeconds = 60;

/** How long a server may take to end when it is asked to. */
const endSeconds = 5;

/** A running server. Disposing of it ends its process, and waits for that. */
export class LocalServer implements AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly #child: ChildProcess;

  constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.pid = child.pid as number;
    this.#child = child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const patience = sleep(endSeconds * 1000, undefined, { ref: false });
    await Promise.race([
      ended,
      patience.then(() => this.#child.kill("SIGKILL")),
    ]);
    await ended;
  }
}

/**
 * Starts a server and waits until it listens. It ends with this process, however that ends.
 *
 * @throws with all that it printed, when it ends or is silent for too long.
 */
export async function startServer({
  command,
  args,
  env = {},
  ready,
}: ServerProgram): Promise<LocalServer> {
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", "--", command, ...args],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...env },
    },
  );
  let output = "";
  const port = new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        const [, found] = ready.exec(output) ?? [];
        if (found !== undefined) resolve(found);
      });
    }
    child.once("error", reject);
    child.once("exit", () =>
      reject(new Error(`${command} ended before it was ready:\n${output}`)),
    );
    setTimeout(
      () => reject(new Error(`${command} is not ready:\n${output}`)),
      startSeconds * 1000,
    ).unref();
  });
  try {
    return new LocalServer(`http://127.0.0.1:${await port}`, child);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}
