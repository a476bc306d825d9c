/** What a stack declares that has the section `gitlab`: projects, schedules, runners. */

import * as pulumi from "@pulumi/pulumi";
import { Gitlab } from "./gitlab/gitlab.ts";
import type { GitlabConfig } from "./gitlab/gitlabConfig.ts";
import { gitlabProvider } from "./gitlab/provider.ts";
import type { ProgramOutputs } from "./program.ts";

/** Paths of fields that nobody may read. Pure. */
export function secretFields(config: GitlabConfig): readonly string[] {
  const { token, image, release } = config;
  return [
    ...(token === undefined ? [] : ["token"]),
    ...Object.entries({ image, release }).flatMap(([role, project]) => [
      ...(project?.variables ?? []).flatMap(({ masked }, index) =>
        masked ? [`${role}.variables[${index}].value`] : [],
      ),
      ...Object.entries(project?.webhooks ?? {}).flatMap(
        ([name, { token }]) => [
          // Addresses of chats let in whoever knows them.
          `${role}.webhooks.${name}.url`,
          ...(token === undefined ? [] : [`${role}.webhooks.${name}.token`]),
        ],
      ),
    ]),
  ];
}

/** The outputs, and what other parts of a stack need of its GitLab. */
export interface DeclaredGitlab extends ProgramOutputs {
  /** See {@link Gitlab.runnerTokens}. */
  readonly runnerTokens: Gitlab["runnerTokens"];
  /** See {@link Gitlab.runnerIds}. */
  readonly runnerIds: Gitlab["runnerIds"];
}

/** Declares the projects and what belongs to them. */
export function declareGitlab(config: GitlabConfig): DeclaredGitlab {
  const provider = gitlabProvider("gitlab", config);
  const { image, release, runnerTokens, runnerIds } = new Gitlab("gitlab", {
    config,
    provider,
  });
  const lines = pulumi.all([image.url, release?.url]).apply((urls) => [
    "GitLab",
    ...["Images:", "Releases:"].flatMap((title, index) => {
      const url = urls[index];
      return url === undefined ? [] : [`  ${title.padEnd(10)} ${url}`];
    }),
  ]);
  return {
    summary: lines.apply((texts) => texts.join("\n")),
    ...{ runnerTokens, runnerIds },
    end: pulumi.recover(lines, () => []),
  };
}
