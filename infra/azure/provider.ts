/** The provider of @pulumi/azure-native for one subscription. */

import { Provider } from "@pulumi/azure-native/provider.js";
import type * as pulumi from "@pulumi/pulumi";
import type { SubscriptionAccess } from "./access.ts";

/** The same credentials as those of the SDK's clients (clients.ts). */
export function azureProvider(
  name: string,
  { subscription, tenant }: SubscriptionAccess,
  options?: pulumi.ResourceOptions,
): Provider {
  return new Provider(
    name,
    {
      subscriptionId: subscription,
      ...(tenant === undefined ? {} : { tenantId: tenant }),
      useDefaultAzureCredential: true,
      disablePulumiPartnerId: true,
    },
    options,
  );
}
