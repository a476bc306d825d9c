/** A cloud of Keystone and Glance, as Debian packages them: one user in a project, and an administrator. */

import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { freePort } from "./freePort.ts";
import { type LocalServer, startServer } from "./localServer.ts";

const systemPath = "/usr/sbin:/usr/bin:/sbin:/bin";

/** How long servers take to answer, on a machine that has other work. */
const readySeconds = 90;

/** Who there is in the cloud; passwords are nobody's secrets. */
const adminPassword = "admin-secret";
const glancePassword = "glance-secret";
export const memberPassword = "member-secret";

/** Glance answers 413 to more, as it does when a quota is used up or its disk is full. */
export const largestImageBytes = 272 * 1024 ** 2;

/** A running cloud. Disposing of it ends its servers; what it kept is below the directory that it was given. */
export class OpenstackCloud implements AsyncDisposable {
  readonly authUrl: string;
  readonly glanceUrl: string;
  /** Where Glance keeps the images' files. */
  readonly files: string;
  /** Tokens of an administrator's, for looking at everything. */
  readonly adminToken: string;
  /** The project of the user `member`, and one that has nobody. */
  readonly projectId: string;
  readonly otherProjectId: string;
  readonly #directory: string;
  readonly #stack: AsyncDisposableStack;
  #glance: LocalServer | undefined;

  private constructor(
    parts: Pick<
      OpenstackCloud,
      | "authUrl"
      | "glanceUrl"
      | "files"
      | "adminToken"
      | "projectId"
      | "otherProjectId"
    >,
    directory: string,
    stack: AsyncDisposableStack,
  ) {
    this.authUrl = parts.authUrl;
    this.glanceUrl = parts.glanceUrl;
    this.files = parts.files;
    this.adminToken = parts.adminToken;
    this.projectId = parts.projectId;
    this.otherProjectId = parts.otherProjectId;
    this.#directory = directory;
    this.#stack = stack;
  }

  /**
   * @param directory of the test's, which it removes
   * @param sizeCapBytes what Glance refuses is larger
   */
  static async start(
    directory: string,
    sizeCapBytes = largestImageBytes,
  ): Promise<OpenstackCloud> {
    await using stack = new AsyncDisposableStack();
    const [keystonePort, glancePort] = [await freePort(), await freePort()];
    const authUrl = `http://127.0.0.1:${keystonePort}/v3`;
    const glanceUrl = `http://127.0.0.1:${glancePort}`;
    await writeConfiguration(directory, authUrl, glancePort, sizeCapBytes);
    await Promise.all([
      prepareKeystone(directory, authUrl),
      run("glance-manage", "--config-file", glanceConfig(directory), "db_sync"),
    ]);
    stack.use(await startKeystone(directory, keystonePort));
    await answered(authUrl);
    const people = await addPeople(authUrl, glanceUrl);
    const cloud = new OpenstackCloud(
      { authUrl, glanceUrl, files: join(directory, "images"), ...people },
      directory,
      stack.move(),
    );
    try {
      await cloud.startGlance();
    } catch (error) {
      await cloud[Symbol.asyncDispose]();
      throw error;
    }
    return cloud;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopGlance();
    await this.#stack.disposeAsync();
  }

  async startGlance(): Promise<void> {
    this.#glance = await startServer({
      command: "glance-api",
      args: ["--config-file", glanceConfig(this.#directory)],
      ready: /wsgi starting up on http:\/\/127\.0\.0\.1:(\d+)/,
    });
    await answered(`${this.glanceUrl}/healthcheck`);
  }

  async stopGlance(): Promise<void> {
    await this.#glance?.[Symbol.asyncDispose]();
    this.#glance = undefined;
  }

  /** Ends Glance in the midst of whatever it does. */
  async killGlance(): Promise<void> {
    if (this.#glance !== undefined) process.kill(this.#glance.pid, "SIGKILL");
    await this.stopGlance();
  }

  /** The entry of clouds.yaml by which the project's member reaches the cloud. */
  entry(changes: object = {}): object {
    return {
      auth: {
        auth_url: this.authUrl,
        username: "member",
        password: memberPassword,
        user_domain_name: "Default",
        project_name: "images",
        project_domain_name: "Default",
      },
      region_name: "RegionOne",
      ...changes,
    };
  }

  /** Calls a service as the administrator. */
  async admin(
    method: string,
    url: string,
    body?: unknown,
    type = "application/json",
  ): Promise<unknown> {
    return call(method, url, this.adminToken, body, type);
  }

  /** Makes an application credential of the member's, and returns its id. */
  async applicationCredential(secret: string): Promise<string> {
    const domain = { id: "default" };
    const { token, body } = await newToken(this.authUrl, {
      user: { name: "member", domain, password: memberPassword },
      project: { id: this.projectId },
    });
    const url = `${this.authUrl}/users/${body.token.user.id}/application_credentials`;
    const made = (await call("POST", url, token, {
      application_credential: { name: "publisher", secret },
    })) as { application_credential: { id: string } };
    return made.application_credential.id;
  }

  /** All images, of every project, hidden or not: so many as Glance tells at once (`api_limit_max`). */
  async images(): Promise<readonly Record<string, unknown>[]> {
    const found = await Promise.all(
      [false, true].map(async (hidden) => {
        const { images } = (await this.admin(
          "GET",
          `${this.glanceUrl}/v2/images?visibility=all&os_hidden=${hidden}&limit=1000`,
        )) as { images: Record<string, unknown>[] };
        return images;
      }),
    );
    return found.flat();
  }

  /** Removes all images. */
  async clear(): Promise<void> {
    for (const { id } of await this.images()) {
      await this.admin("DELETE", `${this.glanceUrl}/v2/images/${id}`);
    }
  }
}

function glanceConfig(directory: string): string {
  return join(directory, "glance-api.conf");
}

function keystoneConfig(directory: string): string {
  return join(directory, "keystone.conf");
}

async function run(command: string, ...args: readonly string[]): Promise<void> {
  await execa(command, args, {
    env: { PATH: systemPath },
    extendEnv: false,
    stdin: "ignore",
  });
}

async function writeConfiguration(
  directory: string,
  authUrl: string,
  glancePort: number,
  sizeCapBytes: number,
): Promise<void> {
  for (const name of ["fernet", "cred", "images", "staging", "tasks", "tmp"]) {
    await mkdir(join(directory, name), { recursive: true });
  }
  for (const repository of ["fernet", "cred"]) {
    for (const name of ["0", "1"]) {
      const key = `${randomBytes(32).toString("base64url")}=`;
      await writeFile(join(directory, repository, name), key, { mode: 0o600 });
    }
  }
  await writeFile(
    keystoneConfig(directory),
    `[database]
connection = sqlite:///${directory}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = ${directory}/fernet
[fernet_receipts]
key_repository = ${directory}/fernet
[credential]
key_repository = ${directory}/cred
[cache]
enabled = true
backend = dogpile.cache.memory
[identity]
password_hash_algorithm = bcrypt
password_hash_rounds = 4
`,
  );
  await writeFile(
    glanceConfig(directory),
    `[DEFAULT]
bind_host = 127.0.0.1
bind_port = ${glancePort}
workers = 0
enabled_backends = disk:file
image_size_cap = ${sizeCapBytes}
[database]
connection = sqlite:///${directory}/glance.db
[glance_store]
default_backend = disk
[disk]
filesystem_store_datadir = ${directory}/images
filesystem_thin_provisioning = true
[os_glance_staging_store]
filesystem_store_datadir = ${directory}/staging
[os_glance_tasks_store]
filesystem_store_datadir = ${directory}/tasks
[keystone_authtoken]
www_authenticate_uri = ${authUrl}
auth_url = ${authUrl}
auth_type = password
username = glance
password = ${glancePassword}
project_name = service
user_domain_id = default
project_domain_id = default
region_name = RegionOne
service_token_roles_required = true
[paste_deploy]
flavor = keystone
config_file = /usr/share/glance-common/glance-api-paste.ini
[oslo_concurrency]
lock_path = ${directory}/tmp
`,
  );
}

async function prepareKeystone(
  directory: string,
  authUrl: string,
): Promise<void> {
  const config = ["--config-file", keystoneConfig(directory)];
  await run("keystone-manage", ...config, "db_sync");
  await run(
    "keystone-manage",
    ...[...config, "bootstrap", "--bootstrap-password", adminPassword],
    ...["--bootstrap-region-id", "RegionOne"],
    ...["public", "internal", "admin"].flatMap((name) => [
      `--bootstrap-${name}-url`,
      authUrl,
    ]),
  );
  // Without it, one who reads locks out those who write.
  const database = new DatabaseSync(join(directory, "keystone.db"));
  database.exec("PRAGMA journal_mode=WAL");
  database.close();
}

function startKeystone(directory: string, port: number): Promise<LocalServer> {
  return startServer({
    command: "uwsgi",
    args: [
      ...["--plugins", "python3", "--http-socket", `127.0.0.1:${port}`],
      ...["--wsgi-file", "/usr/bin/keystone-wsgi-public", "--master"],
      ...["--processes", "1", "--lazy-apps", "--need-app", "--die-on-term"],
      ...["--no-orphans", "--buffer-size", "65535", "--disable-logging"],
    ],
    env: { OS_KEYSTONE_CONFIG_FILES: keystoneConfig(directory) },
    ready: /bound to TCP address 127\.0\.0\.1:(\d+)/,
  });
}

/** Waits until a server answers with anything but an error of its own. */
async function answered(url: string): Promise<void> {
  const end = Date.now() + readySeconds * 1000;
  for (;;) {
    const status = await fetch(url).then(
      ({ status }) => status,
      () => 0,
    );
    if (status >= 200 && status < 500) return;
    if (Date.now() > end) throw new Error(`${url} does not answer.`);
    await sleep(100);
  }
}

async function call(
  method: string,
  url: string,
  token: string,
  body?: unknown,
  type = "application/json",
): Promise<unknown> {
  const answer = await fetch(url, {
    method,
    headers: { "x-auth-token": token, "content-type": type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

async function newToken(
  authUrl: string,
  { user, project }: { readonly user: object; readonly project: object },
) {
  const answer = await fetch(`${authUrl}/auth/tokens`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      auth: {
        identity: { methods: ["password"], password: { user } },
        scope: { project },
      },
    }),
  });
  const body = (await answer.json()) as { token: { user: { id: string } } };
  return { token: answer.headers.get("x-subject-token") ?? "", body };
}

/** Makes the service's own user, the Image API's place in the catalogue, and a project with a member. */
async function addPeople(authUrl: string, glanceUrl: string) {
  const domain = { id: "default" };
  const { token: adminToken } = await newToken(authUrl, {
    user: { name: "admin", domain, password: adminPassword },
    project: { name: "admin", domain },
  });
  const make = async (kind: string, fields: object): Promise<string> => {
    const made = (await call("POST", `${authUrl}/${kind}s`, adminToken, {
      [kind]: fields,
    })) as Record<string, { id: string }>;
    return made[kind]?.id ?? "";
  };
  const { roles } = (await call("GET", `${authUrl}/roles`, adminToken)) as {
    roles: { id: string; name: string }[];
  };
  const give = (project: string, user: string, role: string) => {
    const id = roles.find(({ name }) => name === role)?.id;
    const url = `${authUrl}/projects/${project}/users/${user}/roles/${id}`;
    return call("PUT", url, adminToken);
  };
  const service_id = await make("service", { type: "image", name: "glance" });
  for (const place of ["public", "internal", "admin"]) {
    await make("endpoint", {
      ...{ service_id, interface: place, url: glanceUrl },
      region_id: "RegionOne",
    });
  }
  const [service, projectId, otherProjectId] = await Promise.all(
    ["service", "images", "other"].map((name) =>
      make("project", { name, domain_id: "default" }),
    ),
  );
  const glance = await make("user", {
    ...{ name: "glance", password: glancePassword, domain_id: "default" },
  });
  const member = await make("user", {
    ...{ name: "member", password: memberPassword, domain_id: "default" },
  });
  await give(service ?? "", glance, "admin");
  await give(projectId ?? "", member, "member");
  return {
    adminToken,
    projectId: projectId ?? "",
    otherProjectId: otherProjectId ?? "",
  };
}
