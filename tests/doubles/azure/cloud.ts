/** The Resource Manager, as the stand-in for Azure has it. */

import { ResourceFiles } from "../resourceFiles.ts";
import type { Properties } from "../values.ts";

/** Names the directory in which the resources are kept. */
export const azureStateVariable = "CLOUD_IMAGES_DOUBLE_AZURE_STATE";

/** The Resource Manager as one provider resource reaches it. */
export class AzureCloud {
  readonly files: ResourceFiles;
  readonly subscription: string;

  /** @param config the inputs of the provider, as @pulumi/azure-native has them */
  constructor(config: Properties) {
    this.files = ResourceFiles.ofEnvironment(azureStateVariable);
    this.subscription = String(config.subscriptionId ?? "");
    if (!/^[0-9a-f-]{36}$/.test(this.subscription)) {
      throw new Error(`invalid subscription ID: ${this.subscription}`);
    }
  }

  /** @throws when the subscription is down. */
  async reach(): Promise<void> {
    if (await this.files.isDown(this.subscription)) {
      throw new RefusedByAzure(
        403,
        "AuthorizationFailed",
        `The client does not have authorization over scope '/subscriptions/${this.subscription}'.`,
      );
    }
  }
}

/** What Azure answers when it does not do what it was asked, as the plugin tells it. */
export class RefusedByAzure extends Error {
  constructor(status: number, code: string, message: string) {
    super(
      `Status=${status} Code=${JSON.stringify(code)} Message=${JSON.stringify(message)}`,
    );
  }
}
