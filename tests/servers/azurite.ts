/** Azurite: a server that answers as Azure's blobs do, as far as it goes. */

import { projectPath } from "../../infra/projectPaths.ts";
import { type LocalServer, startServer } from "./localServer.ts";

/** The one account that there is, and its key, which is nobody's secret. */
export const azuriteAccount = "testimages";
export const azuriteKey = Buffer.from("a key for tests alone").toString(
  "base64",
);

/** The environment variable that has the key in tests. */
export const azuriteSecretFrom = "AZURE_STORAGE_KEY_OF_TESTS";

/** Lets this process, and those that it starts, reach the account. */
export function useAzuriteKey(): void {
  process.env[azuriteSecretFrom] = azuriteKey;
}

/**
 * Starts Azurite with nothing in it.
 *
 * @param directory of the test's, which it removes
 */
export function startAzurite(directory: string): Promise<LocalServer> {
  return startServer({
    command: process.execPath,
    args: [
      projectPath(".tools/azurite/node_modules/azurite/dist/src/blob/main.js"),
      ...["--blobHost", "127.0.0.1", "--blobPort", "0"],
      ...["--location", directory, "--disableTelemetry", "--silent"],
      // It does not know the newest version of the protocol, which changes nothing that is used here.
      "--skipApiVersionCheck",
    ],
    env: { AZURITE_ACCOUNTS: `${azuriteAccount}:${azuriteKey}` },
    ready: /listens on http:\/\/127\.0\.0\.1:(\d+)/,
  });
}
