/** The provider of @pulumi/gitlab for one GitLab. */

import { Provider } from "@pulumi/gitlab";
import type { GitlabConfig } from "./gitlabConfig.ts";

/** Without a token in the configuration, the plugin takes that of the environment. */
export function gitlabProvider(
  name: string,
  { url, token }: Pick<GitlabConfig, "url" | "token">,
): Provider {
  return new Provider(name, {
    baseUrl: `${url}/api/v4/`,
    ...(token === undefined ? {} : { token }),
  });
}
