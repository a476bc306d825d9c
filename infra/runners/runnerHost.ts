import * as pulumi from "@pulumi/pulumi";
import { setupScript } from "./hostSetup.ts";
import type { MachineKind } from "./machineKind.ts";
import type { HostConfig, Trust } from "./runnerHostsConfig.ts";

/** One or more machines that are alike, whatever their kind. */
export interface RunnerHostArgs {
  /** Name in the configuration. */
  readonly host: string;
  readonly config: HostConfig;
  readonly machines: MachineKind<HostConfig>;
  readonly gitlabUrl: string;
  readonly trust: Trust;
  /** That its runners build, by their tags. */
  readonly architectures: readonly string[];
  /** Names of runners to their tokens, as JSON. */
  readonly tokens: pulumi.Output<string>;
}

/** Machines that run the jobs of some runners, all of one trust. */
export class RunnerHost extends pulumi.ComponentResource {
  /** Another text whenever the machines become others, or are set up anew. */
  readonly generation: pulumi.Output<string>;

  constructor(
    name: string,
    args: RunnerHostArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("cloud-images:runners:RunnerHost", name, {}, options);
    const { host, config, gitlabUrl, architectures, machines, trust } = args;
    this.generation = machines.declare({
      ...{ host, name, config, trust },
      stack: pulumi.getStack(),
      tokens: pulumi.secret(args.tokens),
      script: (tokens) =>
        setupScript({ name: host, gitlabUrl, config, architectures, tokens }),
      parent: this,
    });
    this.registerOutputs({ generation: this.generation });
  }
}
