/**
 * What a stand-in for a cloud has: a file for each resource, by its ID, and a list of the calls that changed something. A
 * test may do the same behind Pulumi's back.
 */

import { existsSync } from "node:fs";
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rm,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Properties } from "./values.ts";

export class ResourceFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param variable names the directory in which the resources are kept */
  static ofEnvironment(variable: string): ResourceFiles {
    const directory = process.env[variable];
    if (directory !== undefined && directory !== "") {
      return new ResourceFiles(directory);
    }
    throw new Error(`The stand-in needs ${variable}, a directory.`);
  }

  /** IDs are the same in either case. */
  #file(id: string): string {
    return join(
      this.#directory,
      `${encodeURIComponent(id.toLowerCase())}.json`,
    );
  }

  async get(id: string): Promise<Properties | undefined> {
    try {
      return JSON.parse(await readFile(this.#file(id), "utf8")) as Properties;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  async put(id: string, resource: Properties): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    await writeFile(this.#file(id), JSON.stringify({ ...resource, id }));
  }

  async remove(id: string): Promise<void> {
    await rm(this.#file(id), { force: true });
  }

  /** All resources whose IDs begin with that one and a slash. */
  below(id: string): Promise<readonly Properties[]> {
    return this.#beginningWith(`${id.toLowerCase()}/`);
  }

  all(): Promise<readonly Properties[]> {
    return this.#beginningWith("");
  }

  async #beginningWith(text: string): Promise<readonly Properties[]> {
    const begin = encodeURIComponent(text);
    const names = await readdir(this.#directory).catch((): string[] => []);
    const found = names.filter(
      (name) => name.startsWith(begin) && name.endsWith(".json"),
    );
    return Promise.all(
      found
        .sort()
        .map(
          async (name) =>
            JSON.parse(
              await readFile(join(this.#directory, name), "utf8"),
            ) as Properties,
        ),
    );
  }

  async note(call: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    await appendFile(join(this.#directory, "calls"), `${call}\n`);
  }

  /** The calls that changed something, or tried to: `PUT debian-13`. */
  async calls(): Promise<readonly string[]> {
    const text = await readFile(join(this.#directory, "calls"), "utf8").catch(
      () => "",
    );
    return text.split("\n").filter((line) => line !== "");
  }

  async forgetCalls(): Promise<void> {
    await rm(join(this.#directory, "calls"), { force: true });
  }

  /** Has everything in a subscription refused, or not any more. */
  async setDown(subscription: string, isDown: boolean): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    const file = join(this.#directory, `${subscription}.down`);
    if (isDown) await writeFile(file, "");
    else await rm(file, { force: true });
  }

  async isDown(subscription: string): Promise<boolean> {
    return existsSync(join(this.#directory, `${subscription}.down`));
  }
  /** Keeps back the answer to the next creation of a kind, such as `Gallery`; the function waits until it was made. */
  async keepAnswerBack(kind: string): Promise<() => Promise<void>> {
    await mkdir(this.#directory, { recursive: true });
    const file = join(this.#directory, `${kind}.kept-back`);
    await writeFile(file, "");
    return async () => {
      while (existsSync(file)) await sleep(20);
    };
  }

  /** Never ends when the answer is kept back: whoever waits for it is killed. */
  async answer(kind: string): Promise<void> {
    const file = join(this.#directory, `${kind}.kept-back`);
    if (!existsSync(file)) return;
    await rm(file);
    await new Promise(() => {});
  }
}
