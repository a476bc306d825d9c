/** moto behind a proxy that is strict where moto is not: what a test of EC2 has for Amazon. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AwsAccess } from "../../infra/aws/access.ts";
import { AwsProxy } from "./awsProxy.ts";
import type { LocalServer } from "./localServer.ts";
import { startMoto } from "./moto.ts";
import { StrictEbs, type StrictEbsSettings } from "./strictEbs.ts";

/** The servers; disposing of them ends them, and removes what they kept. */
export class StrictAws implements AsyncDisposable {
  readonly moto: LocalServer;
  readonly proxy: AwsProxy;
  readonly ebs: StrictEbs;
  readonly #directory: string;

  private constructor(
    moto: LocalServer,
    proxy: AwsProxy,
    ebs: StrictEbs,
    directory: string,
  ) {
    this.moto = moto;
    this.proxy = proxy;
    this.ebs = ebs;
    this.#directory = directory;
  }

  static async start(
    settings: Partial<StrictEbsSettings> = {},
  ): Promise<StrictAws> {
    const directory = await mkdtemp(join(tmpdir(), "aws-"));
    const moto = await startMoto(directory);
    const ebs = new StrictEbs(settings);
    const proxy = await AwsProxy.start(moto.url, [ebs]);
    return new StrictAws(moto, proxy, ebs, directory);
  }

  /** A region, as a stack's configuration says it; moto has any. */
  access(region = "eu-central-1"): AwsAccess {
    return { region, endpoint: this.proxy.url };
  }

  /** Empties the account and forgets all calls. */
  async reset(): Promise<void> {
    await fetch(`${this.moto.url}/moto-api/reset`, { method: "POST" });
    this.ebs.reset();
    this.proxy.forget();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.moto[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Credentials for this process and those that it starts; moto takes any. */
export const anyCredentials = {
  AWS_ACCESS_KEY_ID: "AKIAEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "secret",
  // No machine's own configuration takes part.
  AWS_CONFIG_FILE: "/dev/null",
  AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
  AWS_EC2_METADATA_DISABLED: "true",
} as const;
