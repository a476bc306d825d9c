/** A GitLab of a test's own, and what programs need to reach it. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { facts } from "./facts.ts";
import {
  changeWorld,
  emptyWorld,
  readWorld,
  type Things,
  type World,
  worldVariable,
} from "./world.ts";

/** An empty group, 42, and a token for it. Disposing of it removes all. */
export class TestGitlab implements AsyncDisposable {
  readonly #directory: string;
  readonly token = "glpat-test";

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async create(): Promise<TestGitlab> {
    const gitlab = new TestGitlab(
      await mkdtemp(join(tmpdir(), "cloud-images-gitlab-")),
    );
    await writeFile(gitlab.#file, JSON.stringify(emptyWorld));
    return gitlab;
  }

  get #file(): string {
    return join(this.#directory, "gitlab.json");
  }

  /** Variables for the engine: a token, and where the stand-in is. */
  get env(): Readonly<Record<string, string>> {
    return { GITLAB_TOKEN: this.token, [worldVariable]: this.#file };
  }

  get world(): World {
    return readWorld(this.#file);
  }

  /** Does something behind Pulumi's back. */
  change<Result>(change: (world: World) => Result): Result {
    return changeWorld(this.#file, change);
  }

  /** @param name of a class of @pulumi/gitlab */
  things(name: string): Things {
    return thingsNamed(this.world, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Things of one type, to look at or to change. @param name of a class of @pulumi/gitlab */
export function thingsNamed(world: World, name: string): Things {
  const token = Object.keys(facts.resources).find((each) =>
    each.endsWith(`:${name}`),
  );
  if (token === undefined) throw new Error(`@pulumi/gitlab has no ${name}.`);
  world.things[token] ??= {};
  return world.things[token];
}
