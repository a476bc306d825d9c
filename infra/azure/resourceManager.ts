/** Azure's Resource Manager, as far as it is asked without Pulumi. */

import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { PublicationError } from "../errors.ts";
import type { SubscriptionAccess } from "./access.ts";

/** Which one, and how patient one is with it. */
export interface ManagerSettings {
  readonly endpoint: string;
  /** How long something may take to go. */
  readonly patienceSeconds: number;
  readonly pauseMilliseconds: number;
  /** A token for it, from the usual chain of credentials. */
  readonly token: (access: SubscriptionAccess) => Promise<string>;
}

const azureEndpoint = "https://management.azure.com";

export const usualManager: ManagerSettings = {
  endpoint: azureEndpoint,
  patienceSeconds: 1800,
  pauseMilliseconds: 5000,
  async token({ tenant }) {
    const { DefaultAzureCredential } = await import("@azure/identity");
    const { token } = await new DefaultAzureCredential(
      tenant === undefined ? {} : { tenantId: tenant },
    ).getToken(`${azureEndpoint}/.default`);
    return token;
  },
};

/** Of galleries and what is in them: the one that @pulumi/azure-native uses, too. */
const apiVersion = "2024-03-03";

/** A server that says nothing for so long is given up. */
const silenceMilliseconds = 60_000;

const resourceSchema = z.object({
  tags: z.record(z.string(), z.string()).default({}),
});

export class ResourceManager {
  readonly #access: SubscriptionAccess;
  readonly #settings: ManagerSettings;

  constructor(access: SubscriptionAccess, settings = usualManager) {
    this.#access = access;
    this.#settings = settings;
  }

  /**
   * The tags of something, or `undefined` where there is none.
   * @throws {PublicationError} when Azure does not say.
   */
  async tagsOf(
    id: string,
  ): Promise<Readonly<Record<string, string>> | undefined> {
    const answer = await this.#call("GET", id);
    return answer && resourceSchema.parse(await answer.json()).tags;
  }

  /**
   * Removes something, and waits until it has gone.
   * @throws {PublicationError} when Azure refuses, or takes too long.
   */
  async remove(id: string): Promise<void> {
    const { patienceSeconds, pauseMilliseconds } = this.#settings;
    await this.#call("DELETE", id);
    const end = performance.now() + patienceSeconds * 1000;
    while ((await this.#call("GET", id)) !== undefined) {
      if (performance.now() > end) {
        throw new PublicationError(
          `${id} is still there, ${patienceSeconds} seconds after Azure was asked to remove it. Run again later.`,
        );
      }
      await sleep(pauseMilliseconds);
    }
  }

  async #call(method: string, id: string): Promise<Response | undefined> {
    const { endpoint, token } = this.#settings;
    const answer = await fetch(`${endpoint}${id}?api-version=${apiVersion}`, {
      method,
      headers: { authorization: `Bearer ${await token(this.#access)}` },
      signal: AbortSignal.timeout(silenceMilliseconds),
    });
    if (answer.ok) return answer;
    const said = (await answer.text()).replace(/\s+/g, " ").slice(0, 300);
    if (answer.status === 404) return undefined;
    throw new PublicationError(
      `Azure does not answer ${method} ${id} (${answer.status}: ${said}). Give the credentials the roles that docs/azure.md lists, or look there yourself.`,
    );
  }
}
