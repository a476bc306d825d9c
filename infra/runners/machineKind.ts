/** What all kinds of machines have in common: how one is declared. */

import type * as pulumi from "@pulumi/pulumi";
import type { TokenSource } from "./hostSetup.ts";
import type { HostConfig, Trust } from "./runnerHostsConfig.ts";

/** A host of runners, and what its machines need. */
export interface MachineScope<Config extends HostConfig> {
  /** Name of the host in the configuration. */
  readonly host: string;
  /** Beginning of the names of resources. */
  readonly name: string;
  readonly stack: string;
  readonly config: Config;
  readonly trust: Trust;
  /** Names of runners to their tokens, as JSON. A secret. */
  readonly tokens: pulumi.Output<string>;
  /** The script that sets a machine up, by where that finds the tokens. */
  readonly script: (tokens: TokenSource) => string;
  readonly parent: pulumi.Resource;
}

/** Machines in one cloud, or one that exists. */
export interface MachineKind<Config extends HostConfig> {
  /**
   * Declares them.
   *
   * @returns what is another text whenever the machines become others, or are set up anew
   */
  declare(scope: MachineScope<Config>): pulumi.Output<string>;
}

/** Tags or labels of everything that belongs to a host. Values are lower-case letters, digits and hyphens, as Google wants. */
export function hostTags({
  host,
  stack,
  trust,
}: Pick<MachineScope<HostConfig>, "host" | "stack" | "trust">): Record<
  string,
  string
> {
  const value = (text: string) =>
    text.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-");
  return {
    "cloud-images-runner-host": host,
    "cloud-images-stack": value(stack),
    "cloud-images-trust": trust,
  };
}
