/**
 * The one place that knows how Pulumi keeps dynamic providers: as the text of a program, in the state of each resource.
 *
 * Ours says the path of a module, and nothing else of it: the code that runs is the ordinary module in the checkout, so
 * today's code works on yesterday's state. The text is written here rather than serialised from a class by Pulumi:
 * it is a sixth as long, which shows in the time of a preview of hundreds of resources.
 */

import * as pulumi from "@pulumi/pulumi";
import { leaveOutTraces } from "../sdkDebugging.ts";

/** What comes into the state of a resource. */
export interface Made<Outputs> {
  readonly id: string;
  readonly outputs: Outputs;
}

/** What a module behind a dynamic resource exports under the name `implementation`. */
export interface Implementation<Inputs extends object, Outputs extends Inputs> {
  /**
   * Makes the thing. Outputs repeat the inputs.
   *
   * @param begin called before the first change, with what the state is to have should it fail after that: the next run
   * goes on by `update`, or removes it by `delete`. What `read` does not find then is forgotten.
   */
  create(
    inputs: Inputs,
    begin?: (begun: Made<Outputs>) => void,
  ): Promise<Made<Outputs>>;
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

/**
 * The text of a dynamic provider as the engine keeps it: CommonJS with a `handler`, which Pulumi otherwise makes by
 * serialising closures. Its functions load moduleProvider.ts from the program's directory, in which
 * Pulumi runs dynamic providers and which is `infra/` (`main` in Pulumi.yaml).
 *
 * @param module path of a module below `infra/`; an absolute one would differ between checkouts
 */
export function providerText(module: string): string {
  return `const { pathToFileURL } = require("node:url");
const load = async () => {
  const { providerOf } = await import(pathToFileURL(process.cwd() + "/dynamic/moduleProvider.ts").href);
  return providerOf(${JSON.stringify(module)});
};
const call = (name) => async (...values) => (await load())[name](...values);
exports.handler = () => ({
  create: call("create"),
  read: call("read"),
  diff: call("diff"),
  update: call("update"),
  delete: call("delete"),
});
`;
}

/** The module that a dynamic provider was made for: the inverse of {@link providerText}. */
export function moduleOf(text: unknown): string | undefined {
  const [, module] = /providerOf\("([^"]+)"\)/.exec(String(text)) ?? [];
  return module;
}

/** The arguments of a dynamic resource: its implementation's inputs, known now or later. */
export type InputsOf<Inputs extends object> = pulumi.Inputs & {
  readonly [Name in keyof Inputs]: pulumi.Input<Inputs[Name]>;
};

/** A dynamic resource whose implementation is a module of this repository. */
export class ModuleResource extends pulumi.CustomResource {
  /**
   * @param module see {@link providerText}
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
    using _ = leaveOutTraces();
    super(
      `pulumi-nodejs:dynamic/${typeModule}:${typeName}`,
      name,
      { ...unknown, ...inputs, __provider: providerText(module) },
      options,
    );
  }
}
