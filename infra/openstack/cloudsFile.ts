/**
 * Clouds as their users describe them to every program: clouds.yaml, with secrets beside it in secure.yaml, or the
 * variables OS_*. The places and their order are those of openstacksdk.
 */

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { describeIssue } from "../definitions/issues.ts";
import { UserError } from "../errors.ts";
import { projectPath } from "../projectPaths.ts";
import type { Cloud, CloudAccess, Domain, Identity, Named } from "./cloud.ts";

/** The name by which a stack says that the variables OS_* describe the cloud. */
export const environmentCloud = "envvars";

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Numbers are what YAML makes of passwords and ids of digits only. */
const textSchema = z.union([z.string().min(1), z.number().transform(String)]);
const text = textSchema.optional();
const addressSchema = z
  .string()
  .regex(/^https?:\/\/[^\s@]+$/, "must be an address that begins with http")
  .transform((address) => address.replace(/\/+$/, ""));

const methods = {
  password: "password",
  v3password: "password",
  v3applicationcredential: "application credential",
} as const;
const methodNames = Object.keys(methods) as (keyof typeof methods)[];

const authSchema = z.object({
  auth_url: addressSchema,
  username: text,
  user_id: text,
  password: text,
  user_domain_id: text,
  user_domain_name: text,
  project_id: text,
  project_name: text,
  project_domain_id: text,
  project_domain_name: text,
  application_credential_id: text,
  application_credential_name: text,
  application_credential_secret: text,
});
type Auth = z.output<typeof authSchema>;

const entrySchema = z.object({
  auth_type: z
    .enum(methodNames, `must be one of ${methodNames.join(", ")}`)
    .optional(),
  auth: authSchema,
  region_name: text,
  interface: z
    .string()
    .transform((name) => name.replace(/URL$/, ""))
    .pipe(z.enum(["public", "internal", "admin"]))
    .default("public"),
  image_endpoint_override: addressSchema.optional(),
  cacert: z.string().min(1).optional(),
  verify: z.boolean().default(true),
});
type Entry = z.output<typeof entrySchema>;

const fileSchema = z.object({
  clouds: z.record(z.string(), z.unknown()),
});

/**
 * Reads how a cloud is reached.
 *
 * @throws {UserError} naming the file, the cloud and each field that is wrong, and no value of any.
 */
export async function readCloud(
  { cloud: name, region }: CloudAccess,
  environment: Environment = process.env,
): Promise<Cloud> {
  const { source, entry } =
    name === environmentCloud
      ? { source: "the environment", entry: entryOfVariables(environment) }
      : await entryOfFiles(name, environment);
  const where = `${source}: the cloud ${name}`;
  const parsed = entrySchema.safeParse(entry);
  if (!parsed.success) {
    throw new UserError(
      parsed.error.issues
        .map((issue) => `${where}: ${describeIssue(issue)}`)
        .join("\n"),
    );
  }
  const { auth, cacert, verify, ...rest } = parsed.data;
  return {
    ...{ name, source },
    authUrl: withVersion(auth.auth_url),
    identity: identityOf(parsed.data, where),
    region: region ?? rest.region_name,
    interface: rest.interface,
    imageEndpoint: rest.image_endpoint_override,
    tls: {
      verify,
      ...(cacert === undefined ? {} : { ca: await readCa(cacert, where) }),
    },
  };
}

function withVersion(address: string): string {
  return /\/v3$/.test(address)
    ? address
    : `${address.replace(/\/v2\.0$/, "")}/v3`;
}

async function readCa(path: string, where: string): Promise<string> {
  try {
    return await readFile(path.replace(/^~(?=\/)/, homedir()), "utf8");
  } catch (cause) {
    throw new UserError(
      `${where}: cacert: the file cannot be read (${path}). Correct the path, or leave it out to trust what the system trusts.`,
      { cause },
    );
  }
}

function identityOf({ auth, auth_type }: Entry, where: string): Identity {
  const lacks = (field: string, why: string) =>
    new UserError(`${where}: auth.${field} is missing: ${why}.`);
  const secret = auth.application_credential_secret;
  const kind =
    auth_type === undefined
      ? secret === undefined
        ? "password"
        : "application credential"
      : methods[auth_type];

  if (kind === "application credential") {
    if (secret === undefined) {
      throw lacks(
        "application_credential_secret",
        "an application credential is known by it",
      );
    }
    const { application_credential_id: id } = auth;
    if (id !== undefined) return { kind, credential: { id }, secret };
    const { application_credential_name: name } = auth;
    if (name === undefined) {
      throw lacks(
        "application_credential_id",
        "it says which credential, or application_credential_name with a user",
      );
    }
    return { kind, credential: { name, user: namedUser(auth, lacks) }, secret };
  }
  if (auth.password === undefined) {
    throw lacks(
      "password",
      "put it into clouds.yaml, into secure.yaml beside it, or use an application credential",
    );
  }
  const user = namedUser(auth, lacks);
  const project = named(
    [auth.project_id, auth.project_name],
    [auth.project_domain_id, auth.project_domain_name],
    ["project_name", "project_domain_name"],
    lacks,
  );
  return { kind, user, password: auth.password, project };
}

type Lacks = (field: string, why: string) => UserError;

function namedUser(auth: Auth, lacks: Lacks): Named {
  return named(
    [auth.user_id, auth.username],
    [auth.user_domain_id, auth.user_domain_name],
    ["username", "user_domain_name"],
    lacks,
  );
}

function named(
  [id, name]: readonly [string | undefined, string | undefined],
  [domainId, domainName]: readonly [string | undefined, string | undefined],
  [nameField, domainField]: readonly [string, string],
  lacks: Lacks,
): Named {
  if (id !== undefined) return { id };
  if (name === undefined) {
    throw lacks(nameField, "Keystone has to know who asks, and for what");
  }
  const domain: Domain | undefined =
    domainId === undefined
      ? domainName === undefined
        ? undefined
        : { name: domainName }
      : { id: domainId };
  if (domain === undefined) {
    throw lacks(domainField, `names such as ${nameField} belong to a domain`);
  }
  return { name, domain };
}

/** The entry of clouds.yaml that the variables OS_* stand for. */
function entryOfVariables(environment: Environment): unknown {
  const variable = (name: string) => environment[name] || undefined;
  const auth = Object.fromEntries(
    Object.keys(authSchema.shape).map((field) => [
      field,
      variable(`OS_${field.toUpperCase()}`),
    ]),
  );
  if (auth.auth_url === undefined) {
    throw new UserError(
      `OS_AUTH_URL is not set, and the stack says that the cloud is described by the environment (cloud: ${environmentCloud}). Set the variables OS_*, or name a cloud of clouds.yaml.`,
    );
  }
  return {
    auth,
    auth_type: variable("OS_AUTH_TYPE"),
    region_name: variable("OS_REGION_NAME"),
    interface: variable("OS_INTERFACE") ?? variable("OS_ENDPOINT_TYPE"),
    image_endpoint_override: variable("OS_IMAGE_ENDPOINT_OVERRIDE"),
    cacert: variable("OS_CACERT"),
    verify: !["1", "true", "yes"].includes(
      (variable("OS_INSECURE") ?? "").toLowerCase(),
    ),
  };
}

async function entryOfFiles(
  name: string,
  environment: Environment,
): Promise<{ readonly source: string; readonly entry: unknown }> {
  const clouds = await firstFile(
    environment.OS_CLIENT_CONFIG_FILE,
    "clouds",
    environment,
  );
  if (clouds === undefined) {
    throw new UserError(
      `There is no clouds.yaml, which is to describe the cloud ${name}: neither in ${directoriesOf(environment).join(", ")} nor where OS_CLIENT_CONFIG_FILE says. docs/openstack.md shows one.`,
    );
  }
  const entry = clouds.clouds[name];
  if (entry === undefined) {
    const known = Object.keys(clouds.clouds).join(", ") || "none";
    throw new UserError(
      `${clouds.path}: clouds.${name} is missing: the file describes ${known}. Add it, or correct \`cloud\` in cloud-images:openstack.`,
    );
  }
  const secure = await firstFile(
    environment.OS_CLIENT_SECURE_FILE,
    "secure",
    environment,
  );
  return { source: clouds.path, entry: merged(entry, secure?.clouds[name]) };
}

/** What secure.yaml says is added to what clouds.yaml does. */
function merged(one: unknown, other: unknown): unknown {
  if (other === undefined) return one;
  if (!isObject(one) || !isObject(other)) return other;
  const result: Record<string, unknown> = { ...one };
  for (const [name, value] of Object.entries(other)) {
    result[name] = merged(result[name], value);
  }
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function directoriesOf({
  HOME,
  XDG_CONFIG_HOME,
}: Environment): readonly string[] {
  const configuration = XDG_CONFIG_HOME || join(HOME || homedir(), ".config");
  return [projectPath("."), join(configuration, "openstack"), "/etc/openstack"];
}

interface CloudsFile {
  readonly path: string;
  readonly clouds: Readonly<Record<string, unknown>>;
}

async function firstFile(
  given: string | undefined,
  base: string,
  environment: Environment,
): Promise<CloudsFile | undefined> {
  const paths = [
    ...(given ? [given] : []),
    ...directoriesOf(environment).flatMap((directory) =>
      ["yaml", "yml"].map((end) => join(directory, `${base}.${end}`)),
    ),
  ];
  for (const path of paths) {
    const content = await readIfThere(path);
    if (content !== undefined) return parsedFile(path, content);
  }
  return undefined;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new UserError(
      `${path} cannot be read (${(cause as NodeJS.ErrnoException).code}). Give this user the right to read it.`,
      { cause },
    );
  }
}

function parsedFile(path: string, content: string): CloudsFile {
  let value: unknown;
  try {
    value = parse(content);
  } catch (error) {
    // The parser's message shows the line, which may have a password in it.
    const { linePos } = error as { linePos?: readonly { line: number }[] };
    const line = linePos?.[0]?.line;
    throw new UserError(
      `${path} is not YAML${line === undefined ? "" : ` (line ${line})`}. Correct it.`,
    );
  }
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return { path, clouds: parsed.data.clouds };
  throw new UserError(
    parsed.error.issues
      .map((issue) => `${path}: ${describeIssue(issue)}`)
      .join("\n"),
  );
}
