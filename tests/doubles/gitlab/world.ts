/** A GitLab in a file, which a test may change behind Pulumi's back. */

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Properties } from "../values.ts";

/** Names the file. */
export const worldVariable = "CLOUD_IMAGES_DOUBLE_GITLAB";

/** Things of one type by their ids, as @pulumi/gitlab has them. */
export type Things = Record<string, Properties>;

/** Everything there is. */
export interface World {
  /** `YYYY-MM-DD`. */
  today: string;
  tier: "free" | "premium";
  /** Values of tokens to their scopes. */
  tokens: Record<string, string[]>;
  lastId: number;
  users: number[];
  /** Ids to paths. */
  groups: Record<string, string>;
  /** By type token. */
  things: Record<string, Things>;
  /** Types and ids of what was made, changed and removed, in this order. */
  calls: string[];
}

export const emptyWorld: World = {
  today: "2026-11-21",
  tier: "premium",
  tokens: { "glpat-test": ["api"] },
  lastId: 100,
  users: [7, 8],
  groups: { "42": "team", "43": "reviewers" },
  things: {},
  calls: [],
};

export function readWorld(file: string): World {
  return JSON.parse(readFileSync(file, "utf8")) as World;
}

/** Nobody else comes in between: it neither waits nor ends half-way. */
export function changeWorld<Result>(
  file: string,
  change: (world: World) => Result,
): Result {
  const world = readWorld(file);
  const result = change(world);
  const written = `${file}.${process.pid}`;
  writeFileSync(written, `${JSON.stringify(world, undefined, 2)}\n`);
  renameSync(written, file);
  return result;
}

/** An answer of GitLab's API that is no success, in the words of the plugin. */
export class RefusedByGitlab extends Error {
  constructor(path: string, status: number, message: string) {
    super(
      `https://gitlab.example/api/v4/${path}: ${status} {message: ${message}}`,
    );
  }
}

/** GitLab as one provider resource reaches it. */
export class GitlabCloud {
  readonly #file: string;
  readonly #token: string;

  /** @param config the provider's inputs */
  constructor({ baseUrl, token }: Properties) {
    const file = process.env[worldVariable];
    if (file === undefined || file === "") {
      throw new Error(
        `The stand-in for GitLab needs ${worldVariable}, a file.`,
      );
    }
    if (baseUrl !== undefined && !String(baseUrl).endsWith("/")) {
      throw new Error(`baseUrl has to end with a slash: ${baseUrl}`);
    }
    this.#file = file;
    this.#token = String(token ?? process.env.GITLAB_TOKEN ?? "");
  }

  /** Looks at it, as whoever the token belongs to. */
  look<Result>(work: (world: World) => Result): Result {
    const world = readWorld(this.#file);
    this.#authorize(world, ["api", "read_api"]);
    return work(world);
  }

  /** Changes it, as whoever the token belongs to. */
  change<Result>(work: (world: World) => Result): Result {
    return changeWorld(this.#file, (world) => {
      this.#authorize(world, ["api"]);
      return work(world);
    });
  }

  #authorize({ tokens }: World, accepted: readonly string[]): void {
    const scopes = tokens[this.#token];
    if (scopes === undefined) {
      throw new RefusedByGitlab("user", 401, "401 Unauthorized");
    }
    if (scopes.some((scope) => accepted.includes(scope))) return;
    throw new RefusedByGitlab(
      "user",
      403,
      "insufficient_scope: The request requires higher privileges than provided by the access token.",
    );
  }
}
