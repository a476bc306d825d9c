/**
 * Stands for Google Cloud: Compute Engine's images by its REST API, as strict as that documents; Cloud Storage by an
 * emulator, strictly stood before; and tokens by workload identity federation, which every call must have.
 */

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { startCloudStorage } from "./cloudStorage.ts";
import type { LocalServer } from "./localServer.ts";
import { emptyRange } from "./strictCloudStorage.ts";

/** What befalls a call. */
export type Fault =
  /** The connection breaks when so much of the content came by. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** An answer instead of the service's own, which hears nothing of the call. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly reason: string;
    }
  /** It is heard, and that is all. */
  | { readonly kind: "silent" }
  /** It is done, and its answer gets lost. */
  | { readonly kind: "lose" }
  /** Something else happens before it is done. */
  | { readonly kind: "first"; readonly act: () => Promise<unknown> }
  /** It is done, and something else happens before its answer comes. */
  | { readonly kind: "done"; readonly act: () => Promise<unknown> };

interface Rule {
  readonly method: string;
  readonly path: RegExp;
  readonly fault: Fault;
  left: number;
}

/** An image as the API shows it, and what only the test may see. */
export interface StandInImage {
  readonly [field: string]: unknown;
  readonly name: string;
  readonly id: string;
  readonly selfLink: string;
  status: string;
  family?: string;
  description?: string;
  labels: Record<string, string>;
  deprecated?: { state?: string; replacement?: string };
  /** Of the object that it was made from. */
  readonly sourceSha256: string;
}

/** An upload in pieces. */
interface Session {
  readonly path: string;
  /** There must be no object at its end. */
  readonly isAbsent: boolean;
  /** What was said when all had arrived, and is said again to who asks; the emulator has forgotten by then. */
  end?: Answer;
}

interface Binding {
  readonly role: string;
  readonly members: readonly string[];
}

interface Answer {
  readonly status: number;
  readonly body: Buffer | string;
  readonly headers?: Readonly<Record<string, string>>;
}

const chunkUnit = 256 * 1024;

const insertFields = [
  ...["name", "description", "architecture", "guestOsFeatures", "licenses"],
  ...["labels", "storageLocations", "rawDisk", "family", "diskSizeGb"],
];

const regions = ["europe-west3", "us-central1", "asia-east1"];

const features = [
  ...["VIRTIO_SCSI_MULTIQUEUE", "MULTI_IP_SUBNET", "UEFI_COMPATIBLE", "GVNIC"],
  ...["SEV_CAPABLE", "SEV_LIVE_MIGRATABLE_V2", "SEV_SNP_CAPABLE", "IDPF"],
  ...["TDX_CAPABLE", "SUSPEND_RESUME_COMPATIBLE", "SNP_SVSM_CAPABLE"],
  "CCA_CAPABLE",
];

/** Features that only processors of the other architecture have. */
const foreignFeatures: Readonly<Record<string, RegExp>> = {
  ARM64: /^(SEV|TDX|SNP)_/,
  X86_64: /^CCA_/,
};

const gibibyte = 1024 ** 3;

export class RefusedByGoogle extends Error {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export class GoogleCloud implements AsyncDisposable {
  readonly url: string;
  /** `POST compute/v1/projects/P/global/images`, in order; nothing of tokens. */
  readonly calls: string[] = [];
  /** Bytes of objects that came by. */
  sentBytes = 0;
  /** How many images a project may have. */
  quota = 100;
  /** By `project/name`. */
  readonly images = new Map<string, StandInImage>();
  readonly policies = new Map<string, Binding[]>();
  readonly #server: Server;
  readonly #emulator: LocalServer;
  readonly #directory: string;
  readonly #operations = new Map<string, { name: string; end: () => object }>();
  readonly #requests = new Map<string, object>();
  readonly #sessions = new Map<string, Session>();
  #rules: Rule[] = [];
  #tokens = new Set<string>();
  #dead = new Set<string>();

  private constructor(
    server: Server,
    emulator: LocalServer,
    directory: string,
  ) {
    this.#server = server;
    this.#emulator = emulator;
    this.#directory = directory;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (incoming, response) => {
      this.#serve(incoming, response).catch(() => response.destroy());
    });
  }

  /** @param directory of the test's, which it removes */
  static async start(directory: string): Promise<GoogleCloud> {
    const objects = join(directory, "objects");
    await mkdir(objects, { recursive: true });
    const emulator = await startCloudStorage(objects);
    const server = createServer({ keepAliveTimeout: 60_000 });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const cloud = new GoogleCloud(server, emulator, directory);
    await writeFile(join(directory, "gitlab-token"), "a.gitlab.token");
    await writeFile(
      cloud.credentialsFile,
      JSON.stringify({
        type: "external_account",
        audience:
          "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/gitlab/providers/gitlab",
        subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
        token_url: `${cloud.url}/v1/token`,
        credential_source: { file: join(directory, "gitlab-token") },
      }),
    );
    return cloud;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    await this.#emulator[Symbol.asyncDispose]();
  }

  /** What GOOGLE_APPLICATION_CREDENTIALS names in a job of GitLab. */
  get credentialsFile(): string {
    return join(this.#directory, "credentials.json");
  }

  /** Has the next calls of a kind fail; `path` is what follows the server's name. */
  fail(method: string, path: RegExp, fault: Fault, times = 1): void {
    this.#rules.push({ method, path, fault, left: times });
  }

  /** Forgets faults and calls; what was made stays. */
  reset(): void {
    this.#rules = [];
    this.calls.length = 0;
    this.sentBytes = 0;
    this.quota = 100;
  }

  /** Takes all tokens back. */
  expireTokens(): void {
    this.#tokens = new Set();
  }

  /** No project of that name answers, or does so again. */
  setDead(project: string, isDead: boolean): void {
    if (isDead) this.#dead.add(project);
    else this.#dead.delete(project);
  }

  async makeBucket(name: string): Promise<void> {
    await fetch(`${this.#emulator.url}/storage/v1/b?project=any-project`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name }),
    });
  }

  /** Puts an object into a bucket as somebody else would. */
  async putObject(bucket: string, name: string, text: string): Promise<void> {
    await fetch(
      `${this.#emulator.url}/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`,
      { method: "POST", body: text },
    );
  }

  /** Removes an object as somebody else would. */
  async removeObject(bucket: string, name: string): Promise<void> {
    await fetch(
      `${this.#emulator.url}/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`,
      { method: "DELETE" },
    );
  }

  async objectNames(bucket: string): Promise<readonly string[]> {
    const answer = await fetch(
      `${this.#emulator.url}/storage/v1/b/${bucket}/o`,
    );
    const { items = [] } = (await answer.json()) as {
      items?: readonly { name: string }[];
    };
    return items.map(({ name }) => name).sort();
  }

  /** Makes an image as somebody else would. */
  addImage(project: string, fields: Partial<StandInImage> & { name: string }) {
    const image: StandInImage = {
      id: String(BigInt(`0x${randomBytes(7).toString("hex")}`)),
      selfLink: `https://www.googleapis.com/compute/v1/projects/${project}/global/images/${fields.name}`,
      status: "READY",
      labels: {},
      sourceSha256: "",
      sourceType: "RAW",
      ...fields,
    };
    this.images.set(`${project}/${fields.name}`, image);
    return image;
  }

  imagesOf(project: string): readonly StandInImage[] {
    return [...this.images]
      .filter(([key]) => key.startsWith(`${project}/`))
      .map(([, image]) => image)
      .sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async #serve(
    incoming: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { method = "", url = "" } = incoming;
    const path = url.slice(1).replace(/\?.*/, "");
    if (path === "v1/token") {
      const token = randomBytes(16).toString("hex");
      this.#tokens.add(token);
      send(response, json(200, tokenAnswer(token)));
      return;
    }
    this.calls.push(`${method} ${path}`);
    const rule = this.#rules.find(
      (each) =>
        each.left > 0 && each.method === method && each.path.test(url.slice(1)),
    );
    if (rule !== undefined) rule.left--;
    const fault = rule?.fault;
    const project = /^compute\/v1\/projects\/([^/]+)/.exec(path)?.[1] ?? "";
    if (this.#dead.has(project)) {
      response.destroy();
      return;
    }
    if (fault?.kind === "cut") {
      await cutAfter(incoming, fault.afterBytes);
      response.destroy();
      return;
    }
    const body = await buffer(incoming);
    if (fault?.kind === "silent") return;
    if (fault?.kind === "first") await fault.act();
    if (fault?.kind === "answer") {
      send(response, refusal(fault.status, fault.reason, "Not today."));
      return;
    }
    const answer = await this.#answer(incoming, body).catch(
      (error: unknown) => {
        if (!(error instanceof RefusedByGoogle)) throw error;
        return refusal(error.status, error.reason, error.message);
      },
    );
    if (fault?.kind === "done") await fault.act();
    if (fault?.kind === "lose") response.destroy();
    else send(response, answer);
  }

  async #answer(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    const { method = "", url = "", headers } = incoming;
    const address = new URL(url, this.url);
    const token = /^Bearer (\w+)$/.exec(headers.authorization ?? "")?.[1];
    // The address of a resumable upload is a credential itself; a token that comes with it has to be a good one.
    const isSession = this.#sessions.has(
      address.searchParams.get("upload_id") ?? "",
    );
    const isAllowed = token === undefined ? isSession : this.#tokens.has(token);
    if (!isAllowed) return refusal(401, "authError", "Invalid Credentials");
    if (!address.pathname.startsWith("/compute/v1/projects/")) {
      return this.#storage(incoming, address, body);
    }
    const [project = "", ...path] = address.pathname.split("/").slice(4);
    const given = body.length === 0 ? {} : JSON.parse(body.toString());
    return json(
      200,
      await this.#compute(method, project, path, address.searchParams, given),
    );
  }

  /** What Cloud Storage checks and the emulator does not; the rest is the emulator's. */
  async #storage(
    incoming: IncomingMessage,
    address: URL,
    body: Buffer,
  ): Promise<Answer> {
    const { method = "", headers } = incoming;
    const query = address.searchParams;
    const wanted = query.get("ifGenerationMatch");
    if (address.pathname.startsWith("/upload/")) {
      const name = query.get("name") ?? "";
      const bucket = address.pathname.split("/")[5] ?? "";
      const path = `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`;
      const id = query.get("upload_id");
      if (method === "POST" && query.get("uploadType") === "resumable") {
        const isAbsent = wanted === "0";
        if (isAbsent) await this.#requireGeneration(path, "0");
        const answer = await this.#forward(incoming, body);
        const session = new URL(answer.headers?.location ?? this.url);
        this.#sessions.set(session.searchParams.get("upload_id") ?? "", {
          ...{ path, isAbsent },
        });
        return answer;
      }
      if (id !== null) {
        const session = this.#sessions.get(id);
        const [, from, to, all] =
          /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(
            headers["content-range"] ?? "",
          ) ?? [];
        const isLast = from === undefined || Number(to) + 1 === Number(all);
        if (from === undefined && session?.end) return session.end;
        this.sentBytes += body.length;
        if (!isLast && body.length % chunkUnit !== 0) {
          return refusal(400, "invalid", "Not a multiple of 256 KiB.");
        }
        if (isLast && session?.isAbsent && from !== undefined) {
          await this.#requireGeneration(session.path, "0");
        }
        const answer = await this.#forward(incoming, body);
        if (session && answer.status === 200) session.end = answer;
        return answer;
      }
    } else if (wanted !== null) {
      await this.#requireGeneration(address.pathname, wanted);
    }
    return this.#forward(incoming, body);
  }

  async #requireGeneration(path: string, wanted: string): Promise<void> {
    const answer = await fetch(`${this.#emulator.url}${path}`);
    const { generation = "0" } = answer.ok
      ? ((await answer.json()) as { generation?: string })
      : {};
    if (!answer.ok && wanted !== "0") {
      throw new RefusedByGoogle(404, "notFound", "No such object");
    }
    if (String(generation) === wanted) return;
    throw new RefusedByGoogle(
      412,
      "conditionNotMet",
      "At least one of the pre-conditions you specified did not hold.",
    );
  }

  async #forward(
    { method = "", url = "", headers }: IncomingMessage,
    body: Buffer,
  ): Promise<Answer> {
    const { "transfer-encoding": _, ...kept } = headers;
    const onward = request(`${this.#emulator.url}${url}`, {
      method,
      headers: { ...kept, "content-length": String(body.length) },
    });
    onward.end(body);
    const [answer] = (await once(onward, "response")) as [IncomingMessage];
    return {
      status: answer.statusCode ?? 500,
      body: await buffer(answer),
      headers: Object.fromEntries(
        Object.entries(answer.headers).filter(
          (entry): entry is [string, string] =>
            typeof entry[1] === "string" &&
            !["transfer-encoding", "connection"].includes(entry[0]) &&
            // Cloud Storage names no range of an upload of which nothing has arrived.
            !(entry[0] === "range" && entry[1] === emptyRange),
        ),
      ),
    };
  }

  async #compute(
    method: string,
    project: string,
    path: readonly string[],
    query: URLSearchParams,
    given: Record<string, unknown>,
  ): Promise<object> {
    const call = `${method} ${path.filter((_, at) => at !== 2).join("/")}`;
    const [, , name = ""] = path;
    const image = this.images.get(`${project}/${name}`);
    const found = () => {
      if (image !== undefined) return image;
      throw new RefusedByGoogle(
        404,
        "notFound",
        `The resource 'projects/${project}/global/images/${name}' was not found`,
      );
    };
    if (method === "GET" && path[0] === "regions") {
      if (regions.includes(path[1] ?? "")) return { name: path[1] };
      throw new RefusedByGoogle(404, "notFound", "no such region");
    }
    switch (call) {
      case "GET global/images":
        if (path.length > 2) return shown(found());
        return { items: this.imagesOf(project).map(shown) };
      case "POST global/operations/wait":
        return this.#ended(name);
      case "POST global/images":
        return this.#once(project, query, () => this.#insert(project, given));
      case "PATCH global/images":
        requireFields(given, ["family", "description", "deprecated"]);
        if ("family" in given) requireName(String(given.family));
        Object.assign(found(), given);
        return this.#operation(() => ({}));
      case "DELETE global/images":
        found();
        this.policies.delete(`${project}/${name}`);
        return this.#operation(() => {
          this.images.delete(`${project}/${name}`);
          return {};
        });
      case "POST global/images/deprecate":
        this.#deprecate(found(), given);
        return this.#operation(() => ({}));
      case "POST global/images/setLabels":
        requireFields(given, ["labels", "labelFingerprint"]);
        requireLabels(given.labels);
        if (given.labelFingerprint !== fingerprint(found())) {
          throw new RefusedByGoogle(
            412,
            "conditionNotMet",
            "Labels fingerprint",
          );
        }
        found().labels = given.labels as Record<string, string>;
        return this.#operation(() => ({}));
      case "GET global/images/getIamPolicy":
        found();
        return { bindings: this.policies.get(`${project}/${name}`) ?? [] };
      case "POST global/images/setIamPolicy": {
        found();
        const { policy } = given as { policy: { bindings: Binding[] } };
        this.policies.set(`${project}/${name}`, policy.bindings);
        return policy;
      }
      default:
        throw new RefusedByGoogle(404, "notFound", `no method ${call}`);
    }
  }

  async #insert(
    project: string,
    given: Record<string, unknown>,
  ): Promise<object> {
    requireFields(given, insertFields);
    const name = String(given.name);
    requireName(name);
    requireLabels(given.labels);
    if (this.images.has(`${project}/${name}`)) {
      throw new RefusedByGoogle(
        409,
        "alreadyExists",
        `The resource 'projects/${project}/global/images/${name}' already exists`,
      );
    }
    const { architecture, guestOsFeatures, storageLocations, rawDisk } =
      given as {
        architecture: string;
        guestOsFeatures: { type: string }[];
        storageLocations: string[];
        rawDisk: { source: string; containerType: string };
      };
    requireThat(["X86_64", "ARM64"].includes(architecture), "architecture");
    for (const { type } of guestOsFeatures) {
      requireThat(features.includes(type), `guest OS feature ${type}`);
      requireThat(
        !foreignFeatures[architecture]?.test(type),
        `${type} with ${architecture}`,
      );
    }
    requireThat(
      storageLocations.length < 2 &&
        storageLocations.every((each) =>
          [...regions, "us", "eu", "asia"].includes(each),
        ),
      `storage locations ${storageLocations.join()}`,
    );
    if (this.imagesOf(project).length >= this.quota) {
      throw new RefusedByGoogle(
        403,
        "quotaExceeded",
        `Quota 'IMAGES' exceeded. Limit: ${this.quota}`,
      );
    }
    const [bucket = "", ...object] = rawDisk.source
      .replace("https://storage.googleapis.com/", "")
      .split("/");
    const answer = await fetch(
      `${this.#emulator.url}/storage/v1/b/${bucket}/o/${encodeURIComponent(object.join("/"))}?alt=media`,
    );
    requireThat(answer.ok, `source ${rawDisk.source}`);
    const bytes = Buffer.from(await answer.arrayBuffer());
    const diskBytes = sizeOfDisk(bytes);
    requireThat(
      diskBytes !== undefined && diskBytes % gibibyte === 0,
      "raw disk: The tar archive is not a valid image",
    );
    const { rawDisk: _, ...fields } = given;
    const image = this.addImage(project, {
      ...(fields as { name: string }),
      status: "PENDING",
      diskSizeGb: String((diskBytes ?? 0) / gibibyte),
      // What Compute Engine itself keeps of it, in pieces of 64 bytes: not the size of what it was made from.
      archiveSizeBytes: String(Math.ceil((bytes.length * 1.1) / 64) * 64),
      sourceSha256: createHash("sha256").update(bytes).digest("hex"),
    });
    return this.#operation(() => {
      image.status = "READY";
      return {};
    });
  }

  #deprecate(image: StandInImage, given: Record<string, unknown>): void {
    requireFields(given, ["state", "replacement", "deleted", "obsolete"]);
    const { state, replacement } = given as Record<string, string>;
    requireThat(
      ["ACTIVE", "DEPRECATED", "OBSOLETE", "DELETED"].includes(state ?? ""),
      "deprecation state",
    );
    requireThat(
      replacement === undefined ||
        [...this.images.values()].some(
          ({ selfLink }) => selfLink === replacement,
        ),
      "replacement",
    );
    if (state === "ACTIVE") delete image.deprecated;
    else image.deprecated = given;
  }

  /** A request that was sent again is the same one. */
  async #once(
    project: string,
    query: URLSearchParams,
    act: () => Promise<object>,
  ): Promise<object> {
    const id = query.get("requestId");
    requireThat(
      id !== null && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id),
      "requestId",
    );
    const key = `${project} ${id}`;
    const known = this.#requests.get(key);
    if (known !== undefined) return known;
    const answer = await act();
    this.#requests.set(key, answer);
    return answer;
  }

  #operation(end: () => object): object {
    const name = `operation-${randomBytes(8).toString("hex")}`;
    this.#operations.set(name, { name, end });
    // It goes on whoever waits.
    setTimeout(() => this.#ended(name), 50).unref();
    return { name, status: "RUNNING" };
  }

  #ended(name: string): object {
    const operation = this.#operations.get(name);
    if (operation === undefined) return { name, status: "DONE" };
    this.#operations.delete(name);
    return { name, status: "DONE", ...operation.end() };
  }
}

/** Bytes of the one member of an archive in GNU tar's older form, which may be sparse; it has to be `disk.raw`. */
function sizeOfDisk(archive: Buffer): number | undefined {
  const isGzip = archive.length > 2 && archive.readUInt16BE(0) === 0x1f8b;
  if (!isGzip) return undefined;
  const header = gunzipSync(archive).subarray(0, 512);
  const text = (at: number, length: number) =>
    header.toString("latin1", at, at + length).replace(/\0.*/s, "");
  if (text(0, 100) !== "disk.raw" || text(257, 8) !== "ustar  ") {
    return undefined;
  }
  return tarNumber(
    header.subarray(...(text(156, 1) === "S" ? [483, 495] : [124, 136])),
  );
}

/** A number of a tar's header: octal digits, or bytes from the largest on, which begin with 0x80. */
function tarNumber(field: Buffer): number {
  if (field[0] !== 0x80) return Number.parseInt(field.toString("latin1"), 8);
  return Number(BigInt(`0x${field.subarray(1).toString("hex")}`));
}

function fingerprint({ labels }: StandInImage): string {
  return createHash("sha256").update(JSON.stringify(labels)).digest("base64");
}

function shown({ sourceSha256: _, ...image }: StandInImage): object {
  return {
    ...image,
    labelFingerprint: fingerprint(image as StandInImage),
  };
}

function requireThat(isRight: boolean, what: string): void {
  if (isRight) return;
  throw new RefusedByGoogle(400, "invalid", `Invalid value: ${what}`);
}

function requireFields(given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    requireThat(known.includes(name), `Unknown name "${name}"`);
  }
}

function requireName(name: string): void {
  requireThat(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name), `name ${name}`);
}

function requireLabels(labels: unknown): void {
  for (const [name, value] of Object.entries(
    (labels ?? {}) as Record<string, string>,
  )) {
    requireThat(/^[a-z][a-z0-9_-]{0,62}$/.test(name), `label ${name}`);
    requireThat(/^[a-z0-9_-]{0,63}$/.test(value), `label ${name}=${value}`);
  }
}

function tokenAnswer(token: string): object {
  return {
    access_token: token,
    issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
    token_type: "Bearer",
    expires_in: 3600,
  };
}

function json(status: number, value: object): Answer {
  return {
    status,
    body: JSON.stringify(value),
    headers: { "content-type": "application/json" },
  };
}

function refusal(status: number, reason: string, message: string): Answer {
  const errors = [{ reason, message, domain: "global" }];
  return json(status, { error: { code: status, message, errors } });
}

function send(response: ServerResponse, { status, body, headers }: Answer) {
  response.writeHead(status, {
    ...headers,
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

async function cutAfter(
  incoming: IncomingMessage,
  bytes: number,
): Promise<void> {
  let seen = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    seen += chunk.length;
    if (seen >= bytes) return;
  }
}
