/** What is read of clouds.yaml and the environment, and what is said of what is wrong there. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../infra/errors.ts";
import { readCloud } from "../../infra/openstack/cloudsFile.ts";

const auth = {
  auth_url: "https://keystone.example:5000/",
  username: "publisher",
  password: "s3cret-value",
  user_domain_name: "Default",
  project_name: "images",
  project_domain_id: "default",
};

let home: string;
let environment: Record<string, string>;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "clouds-file-"));
  await mkdir(join(home, "openstack"));
  environment = { HOME: home, XDG_CONFIG_HOME: home };
  return () => rm(home, { recursive: true, force: true });
});

/** Reads the cloud `one` from a clouds.yaml. */
async function read(entry: object, secure?: object) {
  const files = { clouds: entry, ...(secure ? { secure } : {}) };
  for (const [name, value] of Object.entries(files)) {
    await writeFile(
      join(home, "openstack", `${name}.yaml`),
      JSON.stringify({ clouds: { one: value } }),
    );
  }
  return readCloud({ cloud: "one" }, environment);
}

describe("a cloud of clouds.yaml", () => {
  it("is known by a password, which may be in secure.yaml", async () => {
    const { password, ...open } = auth;
    const cloud = await read(
      { auth: open, region_name: "North", interface: "internalURL" },
      { auth: { password } },
    );
    expect(cloud).toEqual({
      name: "one",
      source: join(home, "openstack/clouds.yaml"),
      authUrl: "https://keystone.example:5000/v3",
      identity: {
        kind: "password",
        user: { name: "publisher", domain: { name: "Default" } },
        password,
        project: { name: "images", domain: { id: "default" } },
      },
      ...{ region: "North", interface: "internal" },
      tls: { verify: true },
    });
    expect(
      await readCloud({ cloud: "one", region: "South" }, environment),
    ).toMatchObject({ region: "South" });
  });

  it("is known by an application credential, by id or by name", async () => {
    const auth_url = "https://keystone.example/identity/v3";
    const secret = { application_credential_secret: "s3cret-value" };
    const byId = { application_credential_id: "12ab" };
    const byName = {
      application_credential_name: "publisher",
      user_id: "34cd",
    };
    expect(
      await read({ auth: { auth_url, ...byId, ...secret } }),
    ).toMatchObject({
      authUrl: auth_url,
      identity: {
        kind: "application credential",
        credential: { id: "12ab" },
        secret: "s3cret-value",
      },
    });
    expect(
      await read({
        auth_type: "v3applicationcredential",
        auth: { auth_url, ...byName, ...secret },
      }),
    ).toMatchObject({
      identity: { credential: { name: "publisher", user: { id: "34cd" } } },
    });
  });

  it.each<[string, object, RegExp]>([
    ["auth", {}, /the cloud one: auth: /],
    [
      "its address",
      { auth: { ...auth, auth_url: undefined } },
      /auth\.auth_url: /,
    ],
    [
      "a password",
      { auth: { ...auth, password: undefined } },
      /auth\.password is missing: put it into/,
    ],
    [
      "a user's domain",
      { auth: { ...auth, user_domain_name: undefined } },
      /auth\.user_domain_name is missing/,
    ],
    [
      "a project",
      { auth: { ...auth, project_name: undefined } },
      /auth\.project_name is missing/,
    ],
    [
      "a credential's secret",
      { auth_type: "v3applicationcredential", auth },
      /auth\.application_credential_secret is missing/,
    ],
    [
      "a way that is known",
      { auth_type: "v3kerberos", auth },
      /auth_type: must be one of password/,
    ],
    [
      "a file of authorities",
      { auth, cacert: "/nowhere/ca.pem" },
      /cacert: the file cannot be read/,
    ],
  ])(
    "is refused without %s, and no secret is told",
    async (_what, entry, message) => {
      const failure = await read(entry).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(UserError);
      const text = String((failure as Error).message);
      expect(text).toMatch(message);
      expect(text).toContain(`${home}/openstack/clouds.yaml: the cloud one: `);
      expect(text).not.toContain("s3cret-value");
    },
  );

  it("is looked for by its name", async () => {
    await read({ auth });
    await expect(readCloud({ cloud: "two" }, environment)).rejects.toThrow(
      /clouds\.two is missing: the file describes one\./,
    );
  });

  it("does not show the line that is no YAML", async () => {
    const path = join(home, "mine.yaml");
    await writeFile(path, 'clouds:\n  one: {password: "s3cret-value\n');
    const failure = readCloud(
      { cloud: "one" },
      { ...environment, OS_CLIENT_CONFIG_FILE: path },
    );
    await expect(failure).rejects.toThrow(/mine\.yaml is not YAML \(line \d/);
    await expect(failure).rejects.not.toThrow(/s3cret/);
  });
});

describe("the cloud of the environment", () => {
  it("has what the variables OS_* say", async () => {
    const variables = Object.fromEntries(
      Object.entries(auth).map(([name, value]) => [
        `OS_${name.toUpperCase()}`,
        value,
      ]),
    );
    expect(
      await readCloud(
        { cloud: "envvars" },
        { ...variables, OS_REGION_NAME: "North", OS_INSECURE: "true" },
      ),
    ).toMatchObject({
      ...{ source: "the environment", region: "North" },
      identity: { user: { name: "publisher" }, password: auth.password },
      tls: { verify: false },
    });
  });

  it("is refused without an address", async () => {
    await expect(readCloud({ cloud: "envvars" }, {})).rejects.toThrow(
      /^OS_AUTH_URL is not set/,
    );
  });
});
