/** How the stand-in reaches what stands for Google Cloud, with the settings of the provider's inputs. */

import { GoogleAuth } from "google-auth-library";
import type { Properties } from "../values.ts";

export class GcpCloud {
  readonly #config: Properties;

  /** @param config the inputs of the provider, as @pulumi/gcp has them */
  constructor(config: Properties) {
    this.#config = config;
  }

  /** The provider's own project. */
  get project(): string {
    const { project } = this.#config;
    if (typeof project === "string" && project !== "") return project;
    throw new Error("project: required field is not set");
  }

  /**
   * Makes a call of Compute Engine.
   *
   * @param path below its version
   * @returns `undefined` when there is no such thing
   */
  async call<T>(
    method: string,
    path: string,
    body?: object,
  ): Promise<T | undefined> {
    const { computeCustomEndpoint } = this.#config;
    if (typeof computeCustomEndpoint !== "string") {
      throw new Error("The stand-in reaches no project of Google's own.");
    }
    const url = `${computeCustomEndpoint}${path}`;
    const scopes = "https://www.googleapis.com/auth/cloud-platform";
    const headers = await new GoogleAuth({
      scopes,
      projectId: this.project,
    }).getRequestHeaders(url);
    const answer = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.status === 404) return undefined;
    const text = await answer.text();
    if (!answer.ok)
      throw new Error(`googleapi: Error ${answer.status}: ${text}`);
    return JSON.parse(text) as T;
  }
}
