/** How machines fetch their runners' tokens: the steps' own bash, with the real clients, from what stands for the clouds. */

import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { projectPath } from "../../infra/projectPaths.ts";
import type { LocalServer } from "../servers/localServer.ts";
import { startMoto } from "../servers/moto.ts";

// The clients are programs of Python, which take their time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

const tokens = '{"merge-amd64":"glrt-of-a-test"}';
const login = "login-of-the-machine";

/** Answers by host and path without escapes, for those who send what the cloud wants to see. */
const answers: Readonly<
  Record<
    string,
    { readonly header: readonly [string, string]; readonly body: object }
  >
> = {
  "169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token":
    {
      header: ["metadata-flavor", "Google"],
      body: { access_token: login, expires_in: 3599, token_type: "Bearer" },
    },
  "secretmanager.googleapis.com/v1/projects/1/secrets/a/versions/2:access": {
    header: ["authorization", `Bearer ${login}`],
    body: {
      name: "projects/1/secrets/a/versions/2",
      payload: { data: Buffer.from(tokens).toString("base64") },
    },
  },
  "169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&client_id=an-identity&resource=https://vault.azure.net":
    {
      header: ["metadata", "true"],
      body: { access_token: login, token_type: "Bearer" },
    },
  "runner-a.vault.azure.net/secrets/runners/0001?api-version=7.4": {
    header: ["authorization", `Bearer ${login}`],
    body: { value: tokens, id: "https://runner-a.vault.azure.net/x" },
  },
};

let directory: string;
let moto: LocalServer;
let clouds: Server;
/** Answers that come before the right ones: a new identity is unknown at first. */
let refusals: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tokens-"));
  moto = await startMoto(directory);
  clouds = createServer(({ headers, url }, response) => {
    const found = answers[decodeURIComponent(`${headers.host}${url}`)];
    const isGood = found && headers[found.header[0]] === found.header[1];
    const status = refusals > 0 ? 403 : isGood ? 200 : 400;
    refusals -= 1;
    response.writeHead(status).end(JSON.stringify(found?.body ?? {}));
  }).listen(0, "127.0.0.1");
  await once(clouds, "listening");
  const { port } = clouds.address() as AddressInfo;
  const programs = {
    // Every server is the one of the test, which knows no TLS.
    curl: `printf '%s\\n' "$*" >>${directory}/calls
exec /usr/bin/curl --connect-to ::127.0.0.1:${port} "\${@/#https:\\/\\//http:\\/\\/}"`,
    aws: `printf '%s\\n' "$*" >>${directory}/calls
exec /usr/bin/aws --endpoint-url ${moto.url} "$@"`,
    sleep: "exit 0",
  };
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(directory, name), `#!/bin/bash\n${text}\n`, {
      mode: 0o755,
    });
  }
});

afterAll(async () => {
  clouds?.close();
  await moto?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  refusals = 0;
  await writeFile(join(directory, "calls"), "");
});

async function read(kind: string, settings: Readonly<Record<string, string>>) {
  const { exitCode, stdout } = await execa(
    "bash",
    [
      "-c",
      'set -euo pipefail; . "$1"; read_tokens',
      "test",
      projectPath(`infra/runners/setup/tokens_${kind}.sh`),
    ],
    {
      ...{ input: tokens, reject: false },
      env: {
        ...settings,
        PATH: `${directory}:${process.env.PATH}`,
        AWS_ACCESS_KEY_ID: "x",
        AWS_SECRET_ACCESS_KEY: "x",
      },
    },
  );
  return { exitCode, stdout };
}

const sources = {
  gce: { TOKENS_NAME: "projects/1/secrets/a/versions/2" },
  azure: {
    TOKENS_NAME: "https://runner-a.vault.azure.net/secrets/runners/0001",
    TOKENS_IDENTITY: "an-identity",
  },
} as const;

test.each(["gce", "azure"] as const)(
  "on %s, by the machine's own identity, and on no command line",
  async (kind) => {
    expect(await read(kind, sources[kind])).toEqual({
      ...{ exitCode: 0, stdout: tokens },
    });
    const calls = await readFile(join(directory, "calls"), "utf8");
    expect(calls.split("\n").filter((line) => line !== "")).toHaveLength(2);
    expect(calls).not.toContain(login);
  },
);

test.each(["gce", "azure"] as const)(
  "on %s, once the identity is known everywhere",
  async (kind) => {
    refusals = 3;
    expect(await read(kind, sources[kind])).toEqual({
      ...{ exitCode: 0, stdout: tokens },
    });
  },
);

test("on gce, not at all when the secret is another's", async () => {
  const { exitCode, stdout } = await read("gce", {
    TOKENS_NAME: "projects/1/secrets/b/versions/1",
  });
  expect(exitCode).not.toBe(0);
  expect(stdout).toBe("");
});

test("on ec2, from the version of the parameter that the machine was made for", async () => {
  const client = new SSMClient({
    ...{ endpoint: moto.url, region: "eu-central-1" },
    credentials: { accessKeyId: "x", secretAccessKey: "x" },
  });
  for (const Value of [tokens, '{"merge-amd64":"glrt-newer"}']) {
    await client.send(
      new PutParameterCommand({
        ...{ Name: "/a/b", Type: "SecureString", Overwrite: true, Value },
      }),
    );
  }
  const settings = { TOKENS_REGION: "eu-central-1", TOKENS_NAME: "/a/b:1" };
  expect(await read("ec2", settings)).toEqual({ exitCode: 0, stdout: tokens });
});

test("on a machine that exists, from what it is told", async () => {
  expect(await read("existing", {})).toEqual({ exitCode: 0, stdout: tokens });
});
