import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../dynamic/provider.ts";
import type { RunnerHealthInputs } from "./runnerHealthProvider.ts";

/** Whether a runner reports to GitLab: a refresh that finds it silent shows that as a change. */
export class RunnerHealth extends ModuleResource {
  constructor(
    name: string,
    inputs: InputsOf<RunnerHealthInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super("runners/runnerHealthProvider.ts", name, inputs, ["since"], options, [
      "runners",
      "RunnerHealth",
    ]);
  }
}
