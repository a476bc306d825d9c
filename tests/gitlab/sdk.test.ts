/** The local package of GitLab's resources, held against the schema of the one that it stands for. */

import * as sdk from "@pulumi/gitlab";
import { expect, test } from "vitest";
import * as access from "../../sdks/gitlab/access.ts";
import * as approvals from "../../sdks/gitlab/approvals.ts";
import * as environments from "../../sdks/gitlab/environments.ts";
import * as hooks from "../../sdks/gitlab/hooks.ts";
import * as project from "../../sdks/gitlab/project.ts";
import * as protection from "../../sdks/gitlab/protection.ts";
import * as runners from "../../sdks/gitlab/runners.ts";
import * as schedules from "../../sdks/gitlab/schedules.ts";
import type {
  Fields,
  ListKind,
  ObjectKind,
  Shape,
} from "../../sdks/gitlab/shape.ts";
import * as variables from "../../sdks/gitlab/variables.ts";
import { facts, resourceFacts } from "../doubles/gitlab/facts.ts";

const modules = {
  ...{ ...access, ...approvals, ...environments, ...hooks, ...project },
  ...{ ...protection, ...runners, ...schedules, ...variables },
};
const shapes = Object.values(modules).filter(
  (each) => typeof each === "object",
) as readonly Shape[];

/** Names and types, as the facts have them. */
function typesOf(fields: Fields): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, kind]) => [name, kind.name]),
  );
}

function withoutSecrets(types: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(types).map(([name, type]) => [
      name,
      type.replace(" secret", ""),
    ]),
  );
}

test("it has the resources that the facts have, and no others", () => {
  expect(shapes.map(({ token }) => token).sort()).toEqual(
    Object.keys(facts.resources).sort(),
  );
});

test.each(shapes.map((shape) => [shape.token, shape] as const))(
  "%s has the schema's properties",
  (token, { required, optional, outputs, secrets }) => {
    const known = resourceFacts(token);
    expect(typesOf({ ...required, ...optional })).toEqual(
      withoutSecrets(known.inputs),
    );
    expect(Object.keys(required).sort()).toEqual([...known.required].sort());
    expect(typesOf(outputs)).toEqual(withoutSecrets(known.outputs));
    expect([...secrets].sort()).toEqual(
      Object.entries({ ...known.inputs, ...known.outputs })
        .filter(([, type]) => type.endsWith(" secret"))
        .map(([name]) => name)
        .sort(),
    );
    expect(sdk).toHaveProperty(token.split(":").at(-1) as string);
  },
);

/** Objects in properties, those in lists as well. */
function objectsIn(fields: Fields): readonly ObjectKind<unknown>[] {
  return Object.values(fields).flatMap((kind) => {
    const inner = "item" in kind ? (kind as ListKind<unknown>).item : kind;
    return "required" in inner ? [inner as ObjectKind<unknown>] : [];
  });
}

test("objects in properties have the schema's fields", () => {
  const objects = shapes.flatMap(({ required, optional }) =>
    objectsIn({ ...required, ...optional }),
  );
  expect(objects.map(({ name }) => name).sort()).toEqual(
    Object.keys(facts.types).sort(),
  );
  for (const { name, required, optional } of objects) {
    const known = facts.types[name];
    expect(typesOf({ ...required, ...optional })).toEqual(known?.fields);
    expect(Object.keys(required)).toEqual(known?.required);
  }
});
