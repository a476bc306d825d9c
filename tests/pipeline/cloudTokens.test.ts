import { readFile, stat } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { placeCloudTokens } from "../../scripts/lib/ci/cloudTokens.ts";

const tokens = {
  AWS_TOKEN: "aws-token",
  GOOGLE_TOKEN: "google-token",
  AZURE_ID_TOKEN: "azure-token",
};

describe("the tokens of a job", () => {
  it("are put where SDKs look for them, for nobody else to read, and leave the environment", async () => {
    const env: Record<string, string | undefined> = {
      ...tokens,
      AWS_ROLE_ARN: "arn:aws:iam::1:role/r",
      AZURE_CLIENT_ID: "client",
      CLOUD_IMAGES_GOOGLE_PROVIDER: "projects/1/providers/gitlab",
      CLOUD_IMAGES_GOOGLE_ACCOUNT: "a@p.example",
      CI_JOB_ID: "7",
    };
    placeCloudTokens(env);
    const { AWS_WEB_IDENTITY_TOKEN_FILE: aws = "" } = env;
    expect(await readFile(aws, "utf8")).toBe("aws-token");
    expect((await stat(aws)).mode & 0o777).toBe(0o600);
    expect(env.AWS_ROLE_SESSION_NAME).toBe("gitlab-7");
    expect(await readFile(env.AZURE_FEDERATED_TOKEN_FILE ?? "", "utf8")).toBe(
      "azure-token",
    );
    const google = JSON.parse(
      await readFile(env.GOOGLE_APPLICATION_CREDENTIALS ?? "", "utf8"),
    ) as { credential_source: { file: string } };
    expect(google).toMatchObject({
      type: "external_account",
      audience: "//iam.googleapis.com/projects/1/providers/gitlab",
      service_account_impersonation_url: expect.stringMatching(
        /serviceAccounts\/a@p\.example:generateAccessToken$/,
      ),
    });
    expect(await readFile(google.credential_source.file, "utf8")).toBe(
      "google-token",
    );
    for (const name of Object.keys(tokens))
      expect(env).not.toHaveProperty(name);
  });

  it("are thrown away for clouds of which the job knows no role", () => {
    const env: Record<string, string | undefined> = { ...tokens };
    placeCloudTokens(env);
    expect(env).toEqual({});
  });
});
