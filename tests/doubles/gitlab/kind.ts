/** What all types of GitLab's resources have in common: where they are kept, and what is refused of any. */

import { randomBytes } from "node:crypto";
import type { ResourceKind } from "../resourceKind.ts";
import type { Misfit } from "../shapes.ts";
import { isList, type Properties, type Value } from "../values.ts";
import { resourceFacts, shapeOf, wrongChoices } from "./facts.ts";
import { type GitlabCloud, RefusedByGitlab, type World } from "./world.ts";

/** What is peculiar to a type. */
export interface KindDetails {
  /** End of the API's path, for messages. */
  readonly path: string;
  /** Inputs besides those of the schema that call for a new resource: the plugin says so only while it runs. */
  readonly replacing?: readonly string[];
  /** Inputs that GitLab never tells. */
  readonly unread?: readonly string[];
  /** What GitLab makes of inputs that are left out, besides `false` and nothing. */
  readonly usual?: Properties;
  /** What is missing on GitLab's free plan. */
  readonly isPremium?: boolean;
  /** What the plugin refuses before it asks GitLab. */
  check?(inputs: Properties): readonly Misfit[];
  /** The id of a new thing. */
  idOf(inputs: Properties, number: number): string;
  /** Outputs of a new thing. */
  outputsOf?(inputs: Properties, number: number, world: World): Properties;
  /**
   * What GitLab refuses.
   * @param id of what is to be changed; `undefined` when it is to be made
   */
  refuse?(world: World, inputs: Properties, id: string | undefined): void;
  /** Whether something that is there already is taken over. */
  takesOver?(existing: Properties): boolean;
  /** What a change makes anew. */
  renewed?(world: World, olds: Properties, news: Properties): Properties;
  due?(world: World, olds: Properties): readonly string[];
  remove?(world: World, id: string, outputs: Properties): void;
}

export const projectToken = "gitlab:index/project:Project";

/** Things of one type; a test may take them away or change them. */
export function thingsOf(world: World, token: string) {
  world.things[token] ??= {};
  return world.things[token];
}

/** The project that an input names, by its id or path. */
export function projectOf(world: World, project: Value | undefined): string {
  const all = Object.entries(thingsOf(world, projectToken));
  const found = all.find(
    ([id, { pathWithNamespace }]) =>
      id === String(project) || pathWithNamespace === project,
  );
  if (found === undefined) {
    throw new RefusedByGitlab(
      `projects/${project}`,
      404,
      "404 Project Not Found",
    );
  }
  return found[0];
}

/** Refuses users and groups that there are not, wherever inputs name them. */
function requireKnown(world: World, path: string, value: Value): void {
  if (isList(value)) {
    for (const each of value) requireKnown(world, path, each);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    const ids = (isList(inner) ? inner : [inner]) as readonly Value[];
    const isUser = /^userIds?$/.test(name);
    const isGroup = /^((target)?[gG]roupIds?|namespaceId)$/.test(name);
    for (const id of ids) {
      if (typeof id !== "number") continue;
      if (isUser && !world.users.includes(id)) {
        throw new RefusedByGitlab(path, 422, `User ${id} is no member`);
      }
      if (isGroup && world.groups[id] === undefined) {
        throw new RefusedByGitlab(path, 404, `404 Group Not Found: ${id}`);
      }
    }
    if (inner !== undefined) requireKnown(world, path, inner);
  }
}

/** A secret that GitLab makes up. */
export function madeUpToken(prefix: string): string {
  return `${prefix}-${randomBytes(12).toString("hex")}`;
}

/** Lists of GitLab's have no order. */
function sameSet(old: Value, wanted: Value): boolean {
  const texts = (value: Value) =>
    (isList(value) ? value : [value])
      .map((each) => JSON.stringify(each))
      .sort();
  return texts(old).join() === texts(wanted).join();
}

/** @param token such as `gitlab:index/project:Project` */
export function gitlabKind(
  token: string,
  details: KindDetails,
): ResourceKind<GitlabCloud> {
  const known = resourceFacts(token);
  const names = Object.keys(known.inputs);
  const replacing = [...known.replaceOnChange, ...(details.replacing ?? [])];
  const unread = new Set(details.unread ?? []);
  const hasProject = names.includes("project");

  function requirePossible(
    world: World,
    inputs: Properties,
    id: string | undefined,
  ): void {
    if (details.isPremium && world.tier === "free") {
      throw new RefusedByGitlab(details.path, 404, "404 Not Found");
    }
    if (hasProject) projectOf(world, inputs.project);
    requireKnown(world, details.path, inputs);
    details.refuse?.(world, inputs, id);
  }

  return {
    shape: shapeOf(known.inputs, known.required),
    updatable: new Set(names.filter((name) => !replacing.includes(name))),
    computed: new Set(known.computed),
    outputs: Object.keys(known.outputs),
    unread,
    same: Object.fromEntries(
      names
        .filter((name) => known.inputs[name]?.startsWith("array<"))
        .map((name) => [name, sameSet]),
    ),
    due: (cloud, olds) =>
      cloud.look((world) => details.due?.(world, olds) ?? []),
    check: (inputs) => [
      ...wrongChoices(known.values, inputs),
      ...(details.check?.(inputs) ?? []),
    ],

    async create(cloud, inputs) {
      return cloud.change((world) => {
        requirePossible(world, inputs, undefined);
        world.lastId += 1;
        const id = details.idOf(inputs, world.lastId);
        const things = thingsOf(world, token);
        const existing = things[id];
        if (existing !== undefined && !details.takesOver?.(existing)) {
          throw new RefusedByGitlab(details.path, 409, `${id} already exists`);
        }
        const outputs = details.outputsOf?.(inputs, world.lastId, world) ?? {};
        things[id] = {
          ...Object.fromEntries(known.computed.map((name) => [name, null])),
          ...details.usual,
          ...inputs,
          ...outputs,
        };
        world.calls.push(`create ${token} ${id}`);
        return { id, outputs: { ...told(things[id]), ...outputs } };
      });
    },

    async read(cloud, id) {
      return cloud.look((world) => {
        const found = thingsOf(world, token)[id];
        return found === undefined ? undefined : told(found);
      });
    },

    async update(cloud, id, olds, news) {
      return cloud.change((world) => {
        requirePossible(world, news, id);
        const things = thingsOf(world, token);
        const found = things[id];
        if (found === undefined) {
          throw new RefusedByGitlab(
            `${details.path}/${id}`,
            404,
            "404 Not Found",
          );
        }
        const renewed = details.renewed?.(world, olds, news) ?? {};
        things[id] = {
          ...found,
          // What is left out and GitLab has no value of its own for goes away.
          ...Object.fromEntries(
            names
              .filter((name) => !known.computed.includes(name))
              .map((name) => [name, null]),
          ),
          ...news,
          ...renewed,
        };
        world.calls.push(`update ${token} ${id}`);
        return { ...told(things[id]), ...kept(olds), ...renewed };
      });
    },

    async delete(cloud, id, outputs) {
      cloud.change((world) => {
        world.calls.push(`delete ${token} ${id}`);
        if (details.remove !== undefined) {
          details.remove(world, id, outputs);
        } else {
          delete thingsOf(world, token)[id];
        }
      });
    },
  };

  /** Outputs that GitLab told once, when the thing was made. */
  function kept(olds: Properties): Properties {
    return Object.fromEntries(
      Object.keys(known.outputs)
        .filter((name) => unread.has(name))
        .map((name) => [name, olds[name]]),
    );
  }

  /** What GitLab tells of a thing. */
  function told(thing: Properties): Properties {
    return Object.fromEntries(
      Object.entries(thing).filter(
        ([name, value]) =>
          value !== null &&
          value !== undefined &&
          !(unread.has(name) || name.startsWith("_")),
      ),
    );
  }
}
