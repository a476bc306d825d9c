/** The provider itself. */

import * as pulumi from "@pulumi/pulumi";
import packageJson from "./package.json" with { type: "json" };

/** Those of its settings that this project uses. Others come from the environment, as GITLAB_TOKEN does. */
export interface ProviderArgs {
  /** Address of the API, with a slash at its end. */
  baseUrl?: pulumi.Input<string>;
  token?: pulumi.Input<string>;
}

/** One GitLab, as one user reaches it. */
export class Provider extends pulumi.ProviderResource {
  constructor(
    name: string,
    { baseUrl, token }: ProviderArgs,
    options?: pulumi.ResourceOptions,
  ) {
    super(
      "gitlab",
      name,
      {
        baseUrl,
        token: token === undefined ? undefined : pulumi.secret(token),
      },
      pulumi.mergeOptions(
        { version: packageJson.version, additionalSecretOutputs: ["token"] },
        options,
      ),
    );
  }
}
