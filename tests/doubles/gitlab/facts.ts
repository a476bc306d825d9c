/** What the schema of @pulumi/gitlab says of its resources, from facts.json. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Misfit, Shape } from "../shapes.ts";
import {
  isList,
  isObject,
  type Properties,
  unknown,
  type Value,
} from "../values.ts";

/** Names to types, such as `array<string>`; ` secret` at the end of one that the state has encrypted. */
type Types = Readonly<Record<string, string>>;

/** Values of properties that have no others. */
type Choices = Readonly<Record<string, readonly string[]>>;

/** A resource. */
export interface ResourceFacts {
  readonly inputs: Types;
  readonly required: readonly string[];
  /** Those that are no inputs. */
  readonly outputs: Types;
  readonly replaceOnChange: readonly string[];
  readonly computed: readonly string[];
  readonly values?: Choices;
}

/** An object in a property. */
export interface TypeFacts {
  readonly fields: Types;
  readonly required: readonly string[];
  readonly values?: Choices;
}

export const facts = JSON.parse(
  readFileSync(join(import.meta.dirname, "facts.json"), "utf8"),
) as {
  /** By token. */
  readonly resources: Readonly<Record<string, ResourceFacts>>;
  readonly types: Readonly<Record<string, TypeFacts>>;
  readonly provider: Types;
};

export function resourceFacts(token: string): ResourceFacts {
  const found = facts.resources[token];
  if (found === undefined) throw new Error(`The facts have no ${token}.`);
  return found;
}

/** Inputs of a resource, of the provider, or of an object in either. */
export function shapeOf(types: Types, required: readonly string[] = []): Shape {
  return new Map(
    Object.entries(types).map(([name, type]) => [
      name,
      { required: required.includes(name), forms: [formOf(type)] },
    ]),
  );
}

function formOf(type: string): string {
  const bare = type.replace(/ secret$/, "");
  const item = /^array<(.*)>$/.exec(bare)?.[1];
  if (item !== undefined) return `${formOf(item)}[]`;
  if (bare === "integer") return "integer";
  return bare === "object" ? "{ [key: string]: string }" : bare;
}

/** Everything about inputs that contradicts the facts. */
export const factShapes = {
  misfits(shape: Shape, inputs: Properties, path = ""): Misfit[] {
    const missing = [...shape]
      .filter(([name, { required }]) => required && isAbsent(inputs[name]))
      .map(([name]) => ({
        property: path + name,
        reason: "Missing required argument",
      }));
    const wrong = Object.entries(inputs).flatMap(([name, value]) => {
      if (isAbsent(value)) return [];
      const [form] = shape.get(name)?.forms ?? [];
      return form === undefined
        ? [{ property: path + name, reason: "Invalid or unknown key" }]
        : misfitsOf(form, value as Value, path + name);
    });
    return [...missing, ...wrong];
  },
};

function misfitsOf(form: string, value: Value, path: string): Misfit[] {
  if (value === unknown) return [];
  const wrong = [{ property: path, reason: `expected ${form}` }];
  if (form.endsWith("[]")) {
    if (!isList(value)) return wrong;
    return value.flatMap((item, index) =>
      misfitsOf(form.slice(0, -2), item, `${path}[${index}]`),
    );
  }
  if (form.startsWith("{")) return isObject(value) ? [] : wrong;
  const type = facts.types[form];
  if (type !== undefined) {
    if (!isObject(value)) return wrong;
    return [
      ...factShapes.misfits(
        shapeOf(type.fields, type.required),
        value,
        `${path}.`,
      ),
      ...wrongChoices(type.values, value, `${path}.`),
    ];
  }
  if (form === "integer") return Number.isInteger(value) ? [] : wrong;
  return typeof value === form ? [] : wrong;
}

/** Values that are none of those that a property may have. */
export function wrongChoices(
  choices: Choices | undefined,
  inputs: Properties,
  path = "",
): Misfit[] {
  return Object.entries(choices ?? {}).flatMap(([name, allowed]) => {
    const value = inputs[name] ?? null;
    return (isList(value) ? value : [value])
      .filter(
        (each) =>
          each !== null && each !== unknown && !allowed.includes(String(each)),
      )
      .map((each) => ({
        property: path + name,
        reason: `expected ${name} to be one of ${allowed.join(", ")}, got ${each}`,
      }));
  });
}

function isAbsent(value: Value | undefined): boolean {
  return value === undefined || value === null;
}
