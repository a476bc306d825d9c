/** What a stack declares that has the section `runnerHosts`: the machines of GitLab's runners, and whether they report. */

import * as pulumi from "@pulumi/pulumi";
import type { Gitlab } from "./gitlab/gitlab.ts";
import type { GitlabConfig } from "./gitlab/gitlabConfig.ts";
import type { MachineKind } from "./runners/machineKind.ts";
import { machinesOf, silentMinutesOf } from "./runners/presence.ts";
import { RunnerHealth } from "./runners/runnerHealth.ts";
import { reporting } from "./runners/runnerHealthProvider.ts";
import { RunnerHost } from "./runners/runnerHost.ts";
import {
  architecturesOf,
  type HostConfig,
  type RunnerHostsConfig,
  trustOf,
} from "./runners/runnerHostsConfig.ts";

/** Paths of fields of the section that nobody may read. Pure. */
export function secretHostFields(hosts: RunnerHostsConfig): readonly string[] {
  return Object.entries(hosts).flatMap(([name, host]) =>
    host.kind === "existing" && host.privateKey !== undefined
      ? [`${name}.privateKey`]
      : [],
  );
}

/** Clouds are loaded only where there are machines in them. */
async function loadKind(kind: HostConfig["kind"]): Promise<unknown> {
  switch (kind) {
    case "ec2":
      return (await import("./runners/kinds/ec2.ts")).machines;
    case "gce":
      return (await import("./runners/kinds/gce.ts")).machines;
    case "azure":
      return (await import("./runners/kinds/azure.ts")).machines;
    case "existing":
      return (await import("./runners/kinds/existing.ts")).machines;
  }
}

/** What runners are called in GitLab, and what their machines log in with. */
export type DeclaredRunners = Pick<Gitlab, "runnerIds" | "runnerTokens">;

/**
 * Declares the machines.
 *
 * @returns resolves when all of them are there, or could not be had
 */
export async function declareRunnerHosts(
  hosts: RunnerHostsConfig,
  gitlab: GitlabConfig,
  declared: DeclaredRunners,
): Promise<pulumi.Output<unknown>> {
  const ends: pulumi.Output<unknown>[] = [];
  for (const [host, config] of Object.entries(hosts)) {
    const name = `runner-${host}`;
    const runners = config.runners.flatMap(
      (each) => gitlab.runners[each] ?? [],
    );
    const machines = (await loadKind(config.kind)) as MachineKind<HostConfig>;
    const { generation } = new RunnerHost(name, {
      ...{ host, config, machines },
      gitlabUrl: gitlab.url,
      // All runners of a host have one.
      trust: runners.some((runner) => trustOf(runner) === "release")
        ? "release"
        : "merge",
      architectures: [...new Set(runners.flatMap(architecturesOf))],
      tokens: tokensOf(config, declared),
    });
    declareHealth({ host, config, hosts }, gitlab, declared, generation);
    ends.push(pulumi.recover(generation, () => ""));
  }
  return pulumi.all(ends);
}

/** Names of a host's runners to their tokens, as JSON. */
function tokensOf(
  { runners }: HostConfig,
  { runnerTokens }: DeclaredRunners,
): pulumi.Output<string> {
  return pulumi
    .all(runners.map((runner) => runnerTokens.get(runner) ?? ""))
    .apply((tokens) =>
      JSON.stringify(
        Object.fromEntries(
          tokens.map((token, index) => [runners[index] as string, token]),
        ),
      ),
    );
}

function declareHealth(
  {
    host,
    config,
    hosts,
  }: {
    readonly host: string;
    readonly config: HostConfig;
    readonly hosts: RunnerHostsConfig;
  },
  { url, token }: GitlabConfig,
  { runnerIds }: DeclaredRunners,
  generation: pulumi.Output<string>,
): void {
  for (const runner of config.runners) {
    const id = runnerIds.get(runner);
    if (id === undefined) continue;
    new RunnerHealth(`runner-${host}-${runner}-health`, {
      api: `${url}/api/v4`,
      ...(token === undefined ? {} : { token: pulumi.secret(token) }),
      runner: id,
      ...{ name: runner, host, generation, state: reporting },
      silentMinutes: silentMinutesOf(config),
      machines: machinesOf(runner, hosts),
    });
  }
}
