/** The tokens that GitLab gives a job for clouds, put where the clouds' SDKs look for them. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Variables of a process. */
type Environment = Record<string, string | undefined>;

/**
 * Writes the tokens of `id_tokens` into files that end with this process, and names those in its environment, which what it
 * starts inherits. The tokens themselves go out of it. A cloud of which the job knows no role is left alone.
 */
export function placeCloudTokens(env: Environment): void {
  const { AWS_TOKEN, GOOGLE_TOKEN, AZURE_ID_TOKEN } = env;
  for (const name of ["AWS_TOKEN", "GOOGLE_TOKEN", "AZURE_ID_TOKEN"]) {
    delete env[name];
  }
  let directory: string | undefined;
  const place = (name: string, text: string): string => {
    directory ??= makeDirectory();
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  if (AWS_TOKEN && env.AWS_ROLE_ARN) {
    env.AWS_WEB_IDENTITY_TOKEN_FILE = place("aws", AWS_TOKEN);
    env.AWS_ROLE_SESSION_NAME ??= `gitlab-${env.CI_JOB_ID ?? "job"}`;
  }
  if (AZURE_ID_TOKEN && env.AZURE_CLIENT_ID) {
    env.AZURE_FEDERATED_TOKEN_FILE = place("azure", AZURE_ID_TOKEN);
  }
  const { CLOUD_IMAGES_GOOGLE_PROVIDER: provider } = env;
  if (GOOGLE_TOKEN && provider) {
    const file = place("google", GOOGLE_TOKEN);
    const account = env.CLOUD_IMAGES_GOOGLE_ACCOUNT;
    env.GOOGLE_APPLICATION_CREDENTIALS = place(
      "google.json",
      JSON.stringify(googleCredentials(file, provider, account)),
    );
  }
}

/** Credentials of workload identity federation (https://google.aip.dev/auth/4117). */
function googleCredentials(
  file: string,
  provider: string,
  account: string | undefined,
) {
  return {
    type: "external_account",
    audience: `//iam.googleapis.com/${provider}`,
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: "https://sts.googleapis.com/v1/token",
    credential_source: { file },
    ...(account
      ? {
          service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${account}:generateAccessToken`,
        }
      : {}),
  };
}

function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "cloud-images-tokens-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
