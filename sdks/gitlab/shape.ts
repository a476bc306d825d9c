/**
 * Resources of a Pulumi package, each said once: the types that a program is checked against and the properties that the
 * engine is given come from the same table.
 */

import * as pulumi from "@pulumi/pulumi";
import packageJson from "./package.json" with { type: "json" };

/** What a property's value is. */
export interface Kind<Value> {
  /** As the package's schema has it. */
  readonly name: string;
  /** Never there: it only says the type. */
  readonly value?: Value;
}

/** Properties by name. */
export type Fields = Readonly<Record<string, Kind<unknown>>>;

type ValueOf<K> = K extends Kind<infer Value> ? Value : never;

/** Arguments as a program gives them. */
type Given<Required extends Fields, Optional extends Fields> = {
  [Name in keyof Required]: pulumi.Input<ValueOf<Required[Name]>>;
} & {
  [Name in keyof Optional]?: pulumi.Input<ValueOf<Optional[Name]>>;
};

/** An object inside a property. */
export interface ObjectKind<Value> extends Kind<Value> {
  readonly required: Fields;
  readonly optional: Fields;
}

export const text: Kind<string> = { name: "string" };
export const integer: Kind<number> = { name: "integer" };
export const flag: Kind<boolean> = { name: "boolean" };

/** A list in a property. */
export interface ListKind<Item> extends Kind<pulumi.Input<Item>[]> {
  readonly item: Kind<Item>;
}

export function list<Item>(item: Kind<Item>): ListKind<Item> {
  return { name: `array<${item.name}>`, item };
}

export function object<Required extends Fields, Optional extends Fields>(
  name: string,
  required: Required,
  optional: Optional,
): ObjectKind<Given<Required, Optional>> {
  return { name, required, optional };
}

/** One type of resource. */
export interface Shape<
  Required extends Fields = Fields,
  Optional extends Fields = Fields,
  Outputs extends Fields = Fields,
> {
  readonly token: string;
  readonly required: Required;
  readonly optional: Optional;
  /** Properties that only GitLab gives. */
  readonly outputs: Outputs;
  /** Properties that the state has encrypted, whoever gave them. */
  readonly secrets: readonly string[];
}

/** The arguments of a type of resource. */
export type ArgsOf<S extends Shape> = Given<S["required"], S["optional"]>;

/** The properties of a resource. */
export type PropertiesOf<S extends Shape> = {
  readonly [Name in keyof S["required"]]: pulumi.Output<
    ValueOf<S["required"][Name]>
  >;
} & {
  readonly [Name in keyof S["optional"]]: pulumi.Output<
    ValueOf<S["optional"][Name]> | undefined
  >;
} & {
  readonly [Name in keyof S["outputs"]]: pulumi.Output<
    ValueOf<S["outputs"][Name]>
  >;
};

export function shape<
  Required extends Fields,
  Optional extends Fields,
  Outputs extends Fields = Record<never, never>,
>(
  token: string,
  required: Required,
  optional: Optional,
  outputs: Outputs = {} as Outputs,
  secrets: readonly string[] = [],
): Shape<Required, Optional, Outputs> {
  return { token, required, optional, outputs, secrets };
}

/** A class of resources. */
export interface ResourceClass<S extends Shape> {
  new (
    name: string,
    args: ArgsOf<S>,
    options?: pulumi.CustomResourceOptions,
  ): pulumi.CustomResource & PropertiesOf<S>;
}

/** The class that declares resources of a shape. */
export function resourceClass<S extends Shape>(shape: S): ResourceClass<S> {
  class Declared extends pulumi.CustomResource {
    constructor(
      name: string,
      args: ArgsOf<S>,
      options?: pulumi.CustomResourceOptions,
    ) {
      super(shape.token, name, propertiesOf(shape, args), {
        version: packageJson.version,
        ...options,
        additionalSecretOutputs: [
          ...shape.secrets,
          ...(options?.additionalSecretOutputs ?? []),
        ],
      });
    }
  }
  return Declared as unknown as ResourceClass<S>;
}

/** All properties, those that are not known yet without a value: Pulumi makes outputs of what it is told of. */
function propertiesOf<S extends Shape>(
  { required, optional, outputs, secrets }: S,
  args: ArgsOf<S>,
): pulumi.Inputs {
  const given: Readonly<Record<string, unknown>> = args;
  for (const name of Object.keys(required)) {
    if (given[name] === undefined) {
      throw new Error(`Missing required property '${name}'`);
    }
  }
  return Object.fromEntries([
    ...Object.keys({ ...required, ...optional }).map((name) => [
      name,
      secrets.includes(name) && given[name] !== undefined
        ? pulumi.secret(given[name])
        : given[name],
    ]),
    ...Object.keys(outputs).map((name) => [name, undefined]),
  ]);
}
