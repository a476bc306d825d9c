/** Clients of Google Cloud, each made from its settings. Loaded where something is done, never by a preview alone. */

import { IdempotencyStrategy, Storage } from "@google-cloud/storage";
import { GoogleAuth, Impersonated } from "google-auth-library";
import { limitSilence, silenceSeconds } from "../silence.ts";
import type { GoogleLogin } from "./access.ts";

/** What every service of Google Cloud takes; what may be done is decided by roles. */
const scopes = ["https://www.googleapis.com/auth/cloud-platform"];

/**
 * No call here is about the project of the credentials. The library looks for it all the same if it is not told one: of
 * a workload identity pool by the Resource Manager, which has to be enabled and allowed for that.
 */
const noProject = "none";

/** Seconds that a token for another service account is good for: the most that is allowed without asking. */
const impersonatedSeconds = 3600;

/** How often, after the first time, and how long one call is tried; of an upload, one of its pieces. */
export interface StorageRetries {
  /** The pauses between attempts become longer and longer, with jitter. */
  readonly maxRetries: number;
  readonly totalTimeoutSeconds: number;
  /** A server that sends nothing and takes nothing for so long is asked again. */
  readonly silenceSeconds: number;
}

export const usualRetries: StorageRetries = {
  maxRetries: 8,
  totalTimeoutSeconds: 300,
  silenceSeconds,
};

/** Where all of Google's services are, those that give tokens included. */
const googleDomain = "googleapis.com";

/** Whether calls are signed: a token is never sent in clear without being asked to. */
export function usesCredentials({ endpoint }: GoogleLogin): boolean {
  return (
    endpoint === undefined ||
    endpoint.startsWith("https:") ||
    process.env.GOOGLE_APPLICATION_CREDENTIALS !== undefined
  );
}

/** Gives a call its credentials: tokens are fetched when they are needed, and anew before they expire. */
export class Credentials {
  readonly #login: GoogleLogin;
  #auth: GoogleAuth | undefined;

  /** @throws the library's error when there are no credentials at all. */
  static async of(login: GoogleLogin): Promise<Credentials> {
    const credentials = new Credentials(login);
    await credentials.renew();
    return credentials;
  }

  private constructor(login: GoogleLogin) {
    this.#login = login;
  }

  /** Headers of one call to an address. */
  async headers(address: string): Promise<Record<string, string>> {
    const headers = await this.#auth?.getRequestHeaders(address);
    return Object.fromEntries(headers?.entries() ?? []);
  }

  /** Forgets the token: the next call has a new one. */
  async renew(): Promise<void> {
    if (usesCredentials(this.#login)) this.#auth = await authOf(this.#login);
  }
}

/** Buckets and their objects. */
export async function storageClient(
  login: GoogleLogin,
  retries: StorageRetries = usualRetries,
): Promise<Storage> {
  const { endpoint } = login;
  const { maxRetries, totalTimeoutSeconds } = retries;
  const host = endpoint === undefined ? googleDomain : new URL(endpoint).host;
  limitSilence(host, retries.silenceSeconds * 1000);
  const isSigned = usesCredentials(login);
  return new Storage({
    projectId: noProject,
    ...(isSigned ? { authClient: await authOf(login) } : {}),
    ...(endpoint === undefined
      ? {}
      : { apiEndpoint: endpoint, useAuthWithCustomEndpoint: isSigned }),
    retryOptions: {
      maxRetries,
      totalTimeout: totalTimeoutSeconds,
      // Whatever is done here may be done twice: that a condition did not hold the second time is looked into.
      idempotencyStrategy: IdempotencyStrategy.RetryAlways,
    },
  });
}

async function authOf({ serviceAccount }: GoogleLogin): Promise<GoogleAuth> {
  limitSilence(googleDomain, silenceSeconds * 1000);
  const own = new GoogleAuth({
    scopes,
    projectId: noProject,
    // A token that is taken back before its time is fetched anew.
    clientOptions: { forceRefreshOnFailure: true },
  });
  if (serviceAccount === undefined) return own;
  return new GoogleAuth({
    projectId: noProject,
    authClient: new Impersonated({
      sourceClient: await own.getClient(),
      targetPrincipal: serviceAccount,
      targetScopes: scopes,
      lifetime: impersonatedSeconds,
    }),
  });
}
