/** The provider of @pulumi/gcp for one project. */

import { Provider } from "@pulumi/gcp/provider.js";
import type * as pulumi from "@pulumi/pulumi";
import type { GoogleAccess } from "./access.ts";

/** The same settings as those of the clients (clients.ts). */
export function googleProvider(
  name: string,
  { project, serviceAccount, endpoint }: GoogleAccess,
  options?: pulumi.ResourceOptions,
): Provider {
  return new Provider(
    name,
    {
      project,
      ...(serviceAccount === undefined
        ? {}
        : { impersonateServiceAccount: serviceAccount }),
      ...(endpoint === undefined
        ? {}
        : { computeCustomEndpoint: `${endpoint}/compute/v1/` }),
    },
    options,
  );
}
