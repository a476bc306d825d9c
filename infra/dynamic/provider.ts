/**
 * The one place that knows how Pulumi serialises dynamic providers.
 *
 * What is serialised into the state is the path of a module, nothing else: the code that runs is the ordinary
 * module in the checkout, so today's code works on yesterday's state.
 */

import * as pulumi from "@pulumi/pulumi";

/** What a module behind a dynamic resource exports under the name `implementation`. */
export interface Implementation<Inputs extends object, Outputs extends Inputs> {
  /** Makes the thing. Outputs repeat the inputs. */
  create(inputs: Inputs): Promise<{ id: string; outputs: Outputs }>;
  /** Looks at the thing as it is now; `undefined` when it is gone. */
  read(id: string, outputs: Outputs): Promise<Outputs | undefined>;
  /** Decides, without looking, what there is to do. */
  diff(outputs: Outputs, inputs: Inputs): Difference;
  /** Makes it what the inputs say. */
  update(id: string, outputs: Outputs, inputs: Inputs): Promise<Outputs>;
  /** Removes it; what is gone already is no error. */
  delete(id: string, outputs: Outputs): Promise<void>;
}

/** Property names: those under `replaces` call for a new thing, those under `updates` can be put right. */
export interface Difference {
  readonly replaces: readonly string[];
  readonly updates: readonly string[];
}

// biome-ignore lint/suspicious/noExplicitAny: the engine hands over whatever the module's own types say
type AnyImplementation = Implementation<any, any>;

/** Hands every call of the engine to the `implementation` that a module of this repository exports. */
export class ModuleProvider implements pulumi.dynamic.ResourceProvider {
  readonly module: string;

  /** @param module path of the module below `infra/`; an absolute one would differ between checkouts */
  constructor(module: string) {
    this.module = module;
  }

  async create(inputs: object): Promise<pulumi.dynamic.CreateResult> {
    const { id, outputs } = await (await this.load()).create(inputs);
    return { id, outs: outputs };
  }

  async read(id: string, outputs: object): Promise<pulumi.dynamic.ReadResult> {
    const found = await (await this.load()).read(id, outputs);
    return found === undefined ? {} : { id, props: found };
  }

  async diff(
    _id: string,
    outputs: object,
    inputs: object,
  ): Promise<pulumi.dynamic.DiffResult> {
    const { replaces, updates } = (await this.load()).diff(outputs, inputs);
    const changes = replaces.length + updates.length > 0;
    return { changes, replaces: [...replaces], deleteBeforeReplace: true };
  }

  async update(
    id: string,
    outputs: object,
    inputs: object,
  ): Promise<pulumi.dynamic.UpdateResult> {
    return { outs: await (await this.load()).update(id, outputs, inputs) };
  }

  async delete(id: string, outputs: object): Promise<void> {
    await (await this.load()).delete(id, outputs);
  }

  /** Pulumi runs dynamic providers in the program's directory, which is `infra/` (`main` in Pulumi.yaml). */
  private async load(): Promise<AnyImplementation> {
    const { pathToFileURL } = await import("node:url");
    const moduleAt = (path: string) =>
      import(pathToFileURL(`${process.cwd()}/${path}`).href);
    (await moduleAt("dynamic/engineWatch.ts")).endWithEngine();
    return (await moduleAt(this.module)).implementation;
  }
}

const providers = new Map<string, ModuleProvider>();

/**
 * The provider of a module, always the same: Pulumi serialises each one once, which takes about 20 ms, and a stack has
 * hundreds of resources with a handful of modules.
 */
function providerOf(module: string): ModuleProvider {
  const provider = providers.get(module) ?? new ModuleProvider(module);
  providers.set(module, provider);
  return provider;
}

/** The arguments of a dynamic resource: its implementation's inputs, known now or later. */
export type InputsOf<Inputs extends object> = pulumi.Inputs & {
  readonly [Name in keyof Inputs]: pulumi.Input<Inputs[Name]>;
};

/** A dynamic resource whose implementation is a module of this repository. */
export class ModuleResource extends pulumi.dynamic.Resource {
  /**
   * @param module see {@link ModuleProvider}
   * @param outputs names of the properties that the implementation adds to the inputs
   * @param type module and name of the type token, `pulumi-nodejs:dynamic/<module>:<name>`
   */
  constructor(
    module: string,
    name: string,
    inputs: pulumi.Inputs,
    outputs: readonly string[],
    options: pulumi.CustomResourceOptions | undefined,
    [typeModule, typeName]: readonly [string, string],
  ) {
    const unknown = Object.fromEntries(outputs.map((key) => [key, undefined]));
    super(
      providerOf(module),
      name,
      { ...unknown, ...inputs },
      options,
      typeModule,
      typeName,
    );
  }
}
