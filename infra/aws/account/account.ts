import { OpenIdConnectProvider } from "@pulumi/aws/iam/openIdConnectProvider.js";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy.js";
import type { Provider } from "@pulumi/aws/provider.js";
import * as pulumi from "@pulumi/pulumi";
import { UserError } from "../../errors.ts";
import { AccountBucket } from "./accountBucket.ts";
import type { AccountConfig, GitlabTrustConfig } from "./accountConfig.ts";
import {
  type PublishingScope,
  previewPolicy,
  releasePolicy,
  rolePolicyCharacters,
} from "./permissions.ts";
import type { PolicyDocument } from "./policyDocument.ts";
import { audienceOf, previewTrust, releaseTrust } from "./trust.ts";

/** An account, and how it is reached. */
export interface AccountArgs {
  readonly config: AccountConfig;
  /** For the account, and the region of its bucket. */
  readonly provider: Provider;
}

/** What an AWS account needs before anything can be published to it: a bucket, and roles for GitLab's jobs. */
export class Account extends pulumi.ComponentResource {
  /** ARN of the role that publishes; none without GitLab. */
  readonly releaseRole: pulumi.Output<string> | undefined;
  /** ARN of the role that only looks. */
  readonly previewRole: pulumi.Output<string> | undefined;

  constructor(
    name: string,
    { config, provider }: AccountArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("cloud-images:aws:Account", name, {}, options);
    const { bucket, gitlab } = config;
    const child = { parent: this, provider };
    if (bucket !== undefined) {
      new AccountBucket(
        `${name}-bucket`,
        { config: bucket, provider },
        { parent: this },
      );
    }
    if (gitlab !== undefined) {
      const issuer = new OpenIdConnectProvider(
        `${name}-gitlab`,
        { url: gitlab.url, clientIdLists: [audienceOf(gitlab)] },
        child,
      );
      const scope = scopeOf(config);
      const role = (suffix: RoleName) =>
        declareRole(`${name}-${suffix}`, suffix, gitlab, issuer, scope, child);
      this.releaseRole = role("release").arn;
      this.previewRole = role("preview").arn;
    }
    this.registerOutputs({
      releaseRole: this.releaseRole,
      previewRole: this.previewRole,
    });
  }
}

type RoleName = "release" | "preview";

/** What each role may do, and who may take it on. */
const roles: Readonly<
  Record<
    RoleName,
    {
      readonly description: string;
      readonly permissions: (scope: PublishingScope) => PolicyDocument;
      readonly trust: (
        gitlab: GitlabTrustConfig,
        providerArn: string,
      ) => PolicyDocument;
    }
  >
> = {
  release: {
    description: "Publishes images, from release branches",
    permissions: releasePolicy,
    trust: releaseTrust,
  },
  preview: {
    description: "Looks at what is published, from any branch",
    permissions: previewPolicy,
    trust: previewTrust,
  },
};

/** What the configuration says of publishing. Pure. */
export function scopeOf(config: AccountConfig): PublishingScope {
  const { account, stacks, parameters, methods, kmsKeys, bucket } = config;
  return {
    ...{ account, stacks, parameters, methods, kmsKeys, bucket },
    regions: config.regions ?? [config.region],
  };
}

function declareRole(
  name: string,
  kind: RoleName,
  gitlab: GitlabTrustConfig,
  issuer: OpenIdConnectProvider,
  scope: PublishingScope,
  child: pulumi.CustomResourceOptions,
): Role {
  const { description, permissions, trust } = roles[kind];
  const role = new Role(
    name,
    {
      name: `cloud-images-${kind}`,
      description,
      assumeRolePolicy: issuer.arn.apply((arn) =>
        JSON.stringify(trust(gitlab, arn)),
      ),
    },
    child,
  );
  new RolePolicy(
    `${name}-policy`,
    {
      name: "cloud-images",
      role: role.name,
      policy: policyText(permissions(scope)),
    },
    child,
  );
  return role;
}

/**
 * A policy as IAM takes it. Pure.
 * @throws {UserError} when it has more characters than a role may have.
 */
export function policyText(policy: PolicyDocument): string {
  const text = JSON.stringify(policy);
  if (text.length <= rolePolicyCharacters) return text;
  throw new UserError(
    `IAM takes ${rolePolicyCharacters} characters of permissions in a role, and cloud-images:account asks for ${text.length}. Name fewer stacks or regions in it, and have another stack declare roles for the rest.`,
  );
}
