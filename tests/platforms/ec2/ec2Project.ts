/** A project that publishes to two regions of EC2 by the real engine: its images are in the store, as another runner left them. */

import { randomBytes } from "node:crypto";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Image } from "@aws-sdk/client-ec2";
import { expect } from "vitest";
import type { BuildRecord } from "../../../infra/store/records.ts";
import type { Store } from "../../../infra/store/store.ts";
import { EngineProject } from "../../engineProject.ts";
import { Ec2Cloud } from "./ec2Cloud.ts";

export const east = "us-east-1";
export const west = "eu-west-1";
export const image = "debian-13-tiny-amd64";
export const parameter = "/team/debian/13-tiny/amd64/daily/latest";
const mebibyte = 1024 ** 2;

/** Of three MiB in two places. */
const disk = {
  sizeBytes: 64 * mebibyte,
  pieces: [
    { at: 0, content: randomBytes(2 * mebibyte) },
    { at: 40 * mebibyte, content: randomBytes(mebibyte) },
  ],
};

/** How many blocks that disk has with data in them. */
export const diskBlocks = 6;

/** The name of the image's AMI of that version. */
export function amiName(version: string): string {
  return `${image}-daily-${version}`;
}

export class Ec2Project extends EngineProject implements AsyncDisposable {
  readonly cloud: Ec2Cloud;
  /** Of the environment, for the commands from now on. */
  credentials: Readonly<Record<string, string>> = {};

  private constructor(directory: string, cloud: Ec2Cloud) {
    super(directory);
    this.cloud = cloud;
  }

  static async start(): Promise<Ec2Project> {
    const directory = await mkdtemp(join(tmpdir(), "engine-project-"));
    const project = new Ec2Project(directory, await Ec2Cloud.start());
    await project.fill();
    await project.init();
    return project;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
    await this.cloud[Symbol.asyncDispose]();
  }

  get env(): Readonly<Record<string, string>> {
    return { ...this.cloud.env, ...this.credentials };
  }

  /** Has the stack publish to both regions; the rest is what a test says of the two, of EC2, and of the stack. */
  publishTo(
    targets: { readonly east?: object; readonly west?: object } = {},
    ec2: object = {},
    changes: object = {},
  ): Promise<void> {
    const { url: endpoint } = this.cloud.proxy;
    return this.configure({
      directory: undefined,
      type: "daily",
      ec2: {
        definitions: ["*"],
        parameters: "/team",
        targets: {
          east: { region: east, endpoint, ...targets.east },
          west: { region: west, endpoint, ...targets.west },
        },
        ...ec2,
      },
      ...changes,
    });
  }

  async prepare(version: string, store?: Store): Promise<BuildRecord> {
    const [build] = await this.prepareBuilds(version, disk, store);
    return build as BuildRecord;
  }

  /** The same with another package, and so with another key. */
  async prepareNext(version: string): Promise<BuildRecord> {
    await this.write(
      "image-definitions/fai/package_config/TINY",
      `PACKAGES install\nof-${version}\n`,
    );
    return this.prepare(version);
  }

  /** Changes a text of the project's own copy of the program, such as a time that a test has not. */
  async edit(name: string, text: string, replacement: string): Promise<void> {
    const old = await readFile(this.path(name), "utf8");
    expect(old).toContain(text);
    await this.write(name, old.replace(text, replacement));
  }

  async up(...args: string[]): Promise<string> {
    const end = await this.run(["up", "--yes", ...args], this.env);
    expect(end.exitCode, end.output).toBe(0);
    return end.output;
  }

  async failingUp(): Promise<string> {
    const end = await this.run(["up", "--yes"], this.env);
    expect(end.exitCode, end.output).not.toBe(0);
    return end.output;
  }

  /** The one AMI of that name. */
  async ami(region: string, name: string, account?: string): Promise<Image> {
    const found = (await this.cloud.images(region, account)).get(name);
    return found ?? expect.fail(`There is no ${name} in ${region}.`);
  }
}
