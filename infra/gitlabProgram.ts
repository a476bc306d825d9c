/** What a stack declares that has the section `gitlab`: projects, schedules, runners. */

import * as pulumi from "@pulumi/pulumi";
import { UserError } from "./errors.ts";
import { Gitlab } from "./gitlab/gitlab.ts";
import type { GitlabConfig } from "./gitlab/gitlabConfig.ts";
import { gitlabProvider } from "./gitlab/provider.ts";
import type { ProgramOutputs } from "./program.ts";

/** Tells every program which keys of its configuration have something encrypted in them, as JSON. */
const secretKeysVariable = "PULUMI_CONFIG_SECRET_KEYS";

/**
 * Makes sure that nobody wrote a secret into the stack's file. Pulumi tells of a whole section only whether something in
 * it is encrypted.
 *
 * @param section name of it, without the project's
 * @param fields paths of those in it that are secrets
 * @throws {UserError} naming the first field and how it gets encrypted.
 */
export function requireEncrypted(
  section: string,
  fields: readonly string[],
): void {
  const encrypted: unknown = JSON.parse(
    process.env[secretKeysVariable] ?? "[]",
  );
  const key = `cloud-images:${section}`;
  if (Array.isArray(encrypted) && encrypted.includes(key)) return;
  const [field] = fields;
  if (field === undefined) return;
  throw new UserError(
    `Pulumi.${pulumi.getStack()}.yaml: ${key}.${field} is a secret, and stands there in clear. ` +
      `Let Pulumi encrypt it: scripts/pulumi config set --stack ${pulumi.getStack()} --secret --path '${key}.${field}'`,
  );
}

/** Paths of fields that nobody may read. Pure. */
export function secretFields(config: GitlabConfig): readonly string[] {
  const { token, image, release } = config;
  return [
    ...(token === undefined ? [] : ["token"]),
    ...Object.entries({ image, release }).flatMap(([role, project]) => [
      ...(project?.variables ?? []).flatMap(({ masked }, index) =>
        masked ? [`${role}.variables[${index}].value`] : [],
      ),
      ...Object.entries(project?.webhooks ?? {}).flatMap(([name, { token }]) =>
        token === undefined ? [] : [`${role}.webhooks.${name}.token`],
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
