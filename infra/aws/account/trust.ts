/** Who may take on the roles: jobs of a GitLab project, by the token that GitLab signs for each. Pure. */

import type { GitlabTrustConfig } from "./accountConfig.ts";
import { type PolicyDocument, policyDocument } from "./policyDocument.ts";

/** The longest policy of trust that a role may have, without white space (IAM quotas, the default). */
export const trustPolicyCharacters = 2048;

/** What `aud` of a job's token has to be. */
export function audienceOf({ audience, url }: GitlabTrustConfig): string {
  return audience ?? url;
}

/**
 * The beginning of IAM's condition keys for tokens of a GitLab server: its address without `https://`.
 * It is the end of the identity provider's ARN, too.
 */
export function issuerOf({ url }: Pick<GitlabTrustConfig, "url">): string {
  return url.slice("https://".length);
}

/** Lets jobs of the release branches in, and nobody else: a merge request's branch has another name. */
export function releaseTrust(
  gitlab: GitlabTrustConfig,
  providerArn: string,
): PolicyDocument {
  const subjects = gitlab.releaseRefs.map(
    (ref) => `project_path:${gitlab.project}:ref_type:branch:ref:${ref}`,
  );
  return trust(gitlab, providerArn, "StringEquals", subjects);
}

/** Lets all jobs of the project in. */
export function previewTrust(
  gitlab: GitlabTrustConfig,
  providerArn: string,
): PolicyDocument {
  const subjects = [`project_path:${gitlab.project}:*`];
  return trust(gitlab, providerArn, "StringLike", subjects);
}

function trust(
  gitlab: GitlabTrustConfig,
  providerArn: string,
  operator: "StringEquals" | "StringLike",
  subjects: readonly string[],
): PolicyDocument {
  const issuer = issuerOf(gitlab);
  const audience = { [`${issuer}:aud`]: audienceOf(gitlab) };
  const subject = { [`${issuer}:sub`]: subjects };
  return policyDocument([
    {
      Sid: "JobsOfGitlab",
      Effect: "Allow",
      Principal: { Federated: providerArn },
      Action: "sts:AssumeRoleWithWebIdentity",
      Condition:
        operator === "StringEquals"
          ? { StringEquals: { ...audience, ...subject } }
          : { StringEquals: audience, StringLike: subject },
    },
  ]);
}
