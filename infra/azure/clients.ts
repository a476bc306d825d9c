/** Clients of Azure's SDK, made from settings. Loaded where something is done, never by a preview alone. */

import type { DefaultAzureCredential } from "@azure/identity";
import {
  ContainerClient,
  StorageRetryPolicyType,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { UserError } from "../errors.ts";
import { limitSilence, silenceSeconds } from "../silence.ts";
import { type BlobAccess, containerUrl } from "./access.ts";

/** Attempts of one call, the first included, and the pauses between them. */
export interface Retries {
  readonly attempts: number;
  readonly firstPauseMilliseconds: number;
  readonly longestPauseMilliseconds: number;
  /** A server that sends nothing and takes nothing for so long is asked again. */
  readonly silenceMilliseconds: number;
}

/** All pauses together are three quarters of a minute: throttling of an account passes in seconds. */
export const usualRetries: Retries = {
  attempts: 9,
  firstPauseMilliseconds: 250,
  longestPauseMilliseconds: 15_000,
  silenceMilliseconds: silenceSeconds * 1000,
};

/** Where tokens are fetched from. */
const loginHost = "login.microsoftonline.com";

/**
 * A container's client; made anew, it asks for credentials anew.
 *
 * @throws {UserError} when the environment does not have the secret that the settings name.
 */
export async function containerClient(
  access: BlobAccess,
  {
    attempts,
    firstPauseMilliseconds,
    longestPauseMilliseconds,
    silenceMilliseconds,
  }: Retries = usualRetries,
): Promise<ContainerClient> {
  const url = containerUrl(access);
  limitSilence(new URL(url).host, silenceMilliseconds);
  limitSilence(loginHost, silenceMilliseconds);
  return new ContainerClient(url, await credentialOf(access), {
    retryOptions: {
      retryPolicyType: StorageRetryPolicyType.EXPONENTIAL,
      maxTries: attempts,
      retryDelayInMs: firstPauseMilliseconds,
      maxRetryDelayInMs: longestPauseMilliseconds,
    },
  });
}

async function credentialOf({
  account,
  tenant,
  secretFrom,
}: BlobAccess): Promise<StorageSharedKeyCredential | DefaultAzureCredential> {
  if (secretFrom !== undefined) {
    return new StorageSharedKeyCredential(
      account,
      keyFrom(secretFrom, account),
    );
  }
  // Loading it takes longer than most of what is done with it.
  const { DefaultAzureCredential } = await import("@azure/identity");
  return new DefaultAzureCredential(
    tenant === undefined ? {} : { tenantId: tenant },
  );
}

/** An account's key, from a variable that has it alone or in a connection string. No message ever repeats a value. */
function keyFrom(variable: string, account: string): string {
  const value = process.env[variable] ?? "";
  if (value === "") {
    throw new UserError(
      `The environment has no ${variable}, which the stack's configuration names for the storage account ${account}. Set it to the account's key or a connection string, or leave secretFrom out to use credentials of Entra.`,
    );
  }
  const settings = new Map(
    value.split(";").map((setting) => {
      const [name = "", ...rest] = setting.split("=");
      return [name.trim(), rest.join("=").trim()] as const;
    }),
  );
  const named = settings.get("AccountName");
  if (named !== undefined && named !== account) {
    throw new UserError(
      `The connection string in ${variable} is not of the storage account ${account}, which the stack's configuration names, but of ${named}. Correct one of both.`,
    );
  }
  const key = settings.get("AccountKey") ?? value.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(key)) {
    throw new UserError(
      `The environment's ${variable} is neither the key of the storage account ${account} nor a connection string with AccountKey. Copy one of them from the account's page "Access keys".`,
    );
  }
  return key;
}
