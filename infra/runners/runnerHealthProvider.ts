/** What stands behind `RunnerHealth`: GitLab's word on when it last heard of a runner. */

import type { Difference, Implementation } from "../dynamic/provider.ts";
import { UserError } from "../errors.ts";
import { findRunner, type ReportedRunner } from "../gitlab/runnerApi.ts";

/** What a runner that is well is. */
export const reporting = "reporting";

export interface RunnerHealthInputs {
  /** GitLab's API, with `/api/v4` at its end. */
  readonly api: string;
  /** That of the environment when left out. */
  readonly token?: string;
  /** The runner's id. */
  readonly runner: string;
  /** Name of the runner in the configuration, and of the host whose machines it is on. */
  readonly name: string;
  readonly host: string;
  /** How long GitLab may hear nothing. */
  readonly silentMinutes: number;
  /** How many machines GitLab has to hear of in that time: those of all hosts that have the runner. */
  readonly machines: number;
  /** Another text for other machines, which take their time to come. */
  readonly generation: string;
  /** Always {@link reporting}: what it is to be. */
  readonly state: string;
}

export interface RunnerHealthOutputs extends RunnerHealthInputs {
  /** When these machines, or how many there are to be, were declared: silence before that says nothing. */
  readonly since: string;
}

export const implementation: Implementation<
  RunnerHealthInputs,
  RunnerHealthOutputs
> = {
  async create(inputs) {
    return { id: `${inputs.host}/${inputs.name}`, outputs: fromNow(inputs) };
  },

  async read(_id, outputs) {
    return { ...outputs, state: await stateNow(outputs) };
  },

  diff(outputs, inputs): Difference {
    const names = [
      ...(["api", "token", "runner", "name", "host"] as const),
      ...(["silentMinutes", "machines", "generation", "state"] as const),
    ];
    return {
      replaces: [],
      updates: names.filter((name) => outputs[name] !== inputs[name]),
    };
  },

  async update(_id, outputs, inputs) {
    const { since, generation, machines } = outputs;
    if (generation !== inputs.generation || machines !== inputs.machines) {
      return fromNow(inputs);
    }
    const state = await stateNow({ ...inputs, since });
    if (state === reporting) return { ...inputs, since };
    throw new UserError(
      `The runner ${inputs.name} is not well: ${state}. Look at the machines of the host ${inputs.host} (systemctl status gitlab-runner), or replace them: docs/runners.md says how.`,
    );
  },

  async delete() {},
};

function fromNow(inputs: RunnerHealthInputs): RunnerHealthOutputs {
  return { ...inputs, since: new Date().toISOString() };
}

async function stateNow(outputs: RunnerHealthOutputs): Promise<string> {
  return stateOf(
    await findRunner(outputs, outputs.runner),
    outputs,
    Date.now(),
  );
}

/** A runner's state in words, the same for as long as it stays so. Pure. */
export function stateOf(
  found: ReportedRunner | undefined,
  {
    since,
    silentMinutes,
    machines,
  }: Pick<RunnerHealthOutputs, "since" | "silentMinutes" | "machines">,
  now: number,
): string {
  if (found === undefined) return "unknown to GitLab";
  const isRecent = (time: string) =>
    now - Date.parse(time) <= silentMinutes * 60_000;
  if (isRecent(since)) return reporting;
  const { contacted_at: contact, managers } = found;
  if (contact === null) return `silent since it was declared at ${since}`;
  if (!isRecent(contact)) {
    return `silent since ${new Date(contact).toISOString()}`;
  }
  if (managers === undefined) return reporting;
  const reports = managers.filter(
    (manager) => manager.contacted_at && isRecent(manager.contacted_at),
  ).length;
  return reports < machines
    ? `${reports} of ${machines} machines report`
    : reporting;
}
