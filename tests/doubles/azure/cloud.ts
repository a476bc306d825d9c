/**
 * What the stand-in for Azure's Resource Manager has: a file for each resource, by its ID, and a list of the calls that
 * changed something. A test may do the same behind Pulumi's back.
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
import type { Properties } from "../values.ts";

/** Names the directory in which the resources are kept. */
export const azureStateVariable = "CLOUD_IMAGES_DOUBLE_AZURE_STATE";

export class ResourceFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  static ofEnvironment(): ResourceFiles {
    const directory = process.env[azureStateVariable];
    if (directory !== undefined && directory !== "") {
      return new ResourceFiles(directory);
    }
    throw new Error(`The stand-in for Azure needs ${azureStateVariable}.`);
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
  async below(id: string): Promise<readonly Properties[]> {
    const begin = encodeURIComponent(`${id.toLowerCase()}/`);
    const names = await readdir(this.#directory).catch((): string[] => []);
    const below = names.filter(
      (name) => name.startsWith(begin) && name.endsWith(".json"),
    );
    return Promise.all(
      below
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

/** The Resource Manager as one provider resource reaches it. */
export class AzureCloud {
  readonly files: ResourceFiles;
  readonly subscription: string;

  /** @param config the inputs of the provider, as @pulumi/azure-native has them */
  constructor(config: Properties) {
    this.files = ResourceFiles.ofEnvironment();
    this.subscription = String(config.subscriptionId ?? "");
    if (!/^[0-9a-f-]{36}$/.test(this.subscription)) {
      throw new Error(`invalid subscription ID: ${this.subscription}`);
    }
  }

  /** @throws when the subscription is down. */
  async reach(): Promise<void> {
    if (await this.files.isDown(this.subscription)) {
      throw new RefusedByAzure(
        403,
        "AuthorizationFailed",
        `The client does not have authorization over scope '/subscriptions/${this.subscription}'.`,
      );
    }
  }
}

/** What Azure answers when it does not do what it was asked, as the plugin tells it. */
export class RefusedByAzure extends Error {
  constructor(status: number, code: string, message: string) {
    super(
      `Status=${status} Code=${JSON.stringify(code)} Message=${JSON.stringify(message)}`,
    );
  }
}
