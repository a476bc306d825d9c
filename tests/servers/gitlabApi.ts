/**
 * GitLab's API as strict as it is where notes, issues and artifacts are concerned: tokens in their header and with their scopes,
 * encoded ids, pages, quick actions, limits. https://docs.gitlab.com/api/rest/ and shared facts of this project; no real GitLab
 * was asked.
 */

import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** Who asks. */
export interface GitlabUser {
  readonly id: number;
  readonly username: string;
  readonly scopes: readonly string[];
  /** Ids of the projects that it is a member of, as a reporter or more. */
  readonly projects: readonly number[];
}

export interface Note {
  readonly id: number;
  body: string;
  readonly author: { readonly id: number };
  readonly system: boolean;
}

export interface Issue {
  readonly iid: number;
  title: string;
  description: string;
  state: "opened" | "closed";
  labels: string[];
  readonly author: { readonly id: number };
  readonly notes: Note[];
}

export interface Job {
  readonly id: number;
  readonly name: string;
  readonly status: string;
  /** Texts by their paths. */
  readonly artifacts: Readonly<Record<string, string>>;
}

export interface Pipeline {
  readonly id: number;
  readonly sha: string;
  readonly ref: string;
  readonly source: string;
  readonly status: string;
  readonly jobs: readonly Job[];
}

interface MergeRequest {
  readonly iid: number;
  head_pipeline: { id: number; source: string; sha?: string } | null;
  readonly notes: Note[];
}

/** A project. */
export class GitlabApiProject {
  readonly id: number;
  readonly path: string;
  readonly mergeRequests = new Map<number, MergeRequest>();
  readonly issues: Issue[] = [];
  readonly pipelines = new Map<number, Pipeline>();

  constructor(id: number, path: string) {
    this.id = id;
    this.path = path;
  }

  mergeRequest(iid: number): MergeRequest {
    const known = this.mergeRequests.get(iid);
    if (known !== undefined) return known;
    const made: MergeRequest = { iid, head_pipeline: null, notes: [] };
    this.mergeRequests.set(iid, made);
    return made;
  }
}

/** A request, as it is remembered. */
export interface GitlabCall {
  readonly method: string;
  /** As it came, with its query. */
  readonly url: string;
  readonly status: number;
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is no success. */
class Refusal extends Error {
  readonly answer: Answer;

  constructor(status: number, body: unknown) {
    super(String(status));
    this.answer = { status, body };
  }
}

/** Of notes and descriptions: characters in older versions (Gitlab::Database::MAX_TEXT_SIZE_LIMIT), bytes in newer ones (description_and_note_max_size). */
const longestText = { characters: 1_000_000, bytes: 1024 * 1024 };

const notFound = (what: string) =>
  new Refusal(404, { message: `404 ${what} Not Found` });

export class GitlabApi implements AsyncDisposable {
  readonly #server: Server;
  readonly #storage: Server;
  /** Users by their tokens. */
  readonly tokens = new Map<string, GitlabUser>();
  readonly jobTokens = new Set<string>();
  readonly projects: GitlabApiProject[] = [];
  readonly calls: GitlabCall[] = [];
  /** Lines that GitLab would have carried out. */
  readonly quickActions: string[] = [];
  /** What storage was asked for, and whether it was shown a token. */
  readonly storageCalls: {
    readonly url: string;
    readonly hasToken: boolean;
  }[] = [];
  /** Whether files of artifacts lie in storage elsewhere. */
  isStorageElsewhere = false;
  /**
   * Called before each request is answered; may answer in its place. `broken` lets it be carried out, and breaks the connection
   * within the answer's body.
   */
  before: (
    call: Pick<GitlabCall, "method" | "url">,
  ) =>
    | undefined
    | Answer
    | "cut"
    | "silent"
    | "broken"
    | Promise<undefined | Answer> = () => undefined;
  #lastId = 1000;

  private constructor(server: Server, storage: Server) {
    this.#server = server;
    this.#storage = storage;
  }

  static async start(): Promise<GitlabApi> {
    const server = createServer();
    const storage = createServer();
    const api = new GitlabApi(server, storage);
    server.on("request", (request, response) => {
      api.#serve(request, response).catch((error) => {
        response.statusCode = 500;
        response.end(String(error));
      });
    });
    storage.on("request", (request, response) => api.#store(request, response));
    for (const each of [server, storage]) {
      each.listen(0, "127.0.0.1");
      await once(each, "listening");
    }
    return api;
  }

  /** Of the API. */
  get url(): string {
    return `${originOf(this.#server)}/api/v4`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of [this.#server, this.#storage]) {
      each.closeAllConnections();
      each.close();
      await once(each, "close");
    }
  }

  addProject(id: number, path: string): GitlabApiProject {
    const project = new GitlabApiProject(id, path);
    this.projects.push(project);
    return project;
  }

  /** @returns the token's user */
  addToken(
    token: string,
    project: GitlabApiProject,
    scopes: readonly string[] = ["api"],
  ): GitlabUser {
    const id = this.#newId();
    const user = {
      ...{ id, scopes, username: `project_${project.id}_bot_${id}` },
      projects: [project.id],
    };
    this.tokens.set(token, user);
    return user;
  }

  /** Of requests that were answered in earnest. */
  callsOf(method: string, end: RegExp): readonly GitlabCall[] {
    return this.calls.filter(
      (call) => call.method === method && end.test(call.url),
    );
  }

  /** A note that somebody writes. */
  note(notes: Note[], author: number, body: string, system = false): Note {
    const note = { id: this.#newId(), body, author: { id: author }, system };
    notes.push(note);
    return note;
  }

  #newId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { method = "GET", url = "" } = request;
    const body = await text(request);
    const early = await this.before({ method, url });
    if (early === "silent") return;
    if (early === "cut") {
      request.socket.destroy();
      return;
    }
    let answer: Answer;
    try {
      answer =
        early === undefined || early === "broken"
          ? this.#answer(request, body)
          : early;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = error.answer;
    }
    this.calls.push({ method, url, status: answer.status });
    const said =
      answer.body === undefined
        ? ""
        : typeof answer.body === "string"
          ? answer.body
          : JSON.stringify(answer.body);
    response.writeHead(answer.status, {
      "content-type": "application/json",
      ...(early === "broken"
        ? { "content-length": Buffer.byteLength(said) + 1 }
        : {}),
      ...answer.headers,
    });
    if (early === "broken") response.write(said, () => request.socket.end());
    else response.end(said);
  }

  #store(request: IncomingMessage, response: ServerResponse): void {
    const { url = "", headers } = request;
    this.storageCalls.push({ url, hasToken: "private-token" in headers });
    response.end(this.#stored.get(url) ?? "");
  }

  readonly #stored = new Map<string, string>();

  #answer(request: IncomingMessage, body: string): Answer {
    const { method = "GET", url = "", headers } = request;
    const address = new URL(url, "http://gitlab.example");
    if (/(private_token|access_token|job_token)=/.test(address.search)) {
      throw new Error(`A token stands in an address: ${url}`);
    }
    const user = this.#authenticate(headers);
    const scopes = method === "GET" ? ["api", "read_api"] : ["api"];
    if (user !== "job" && !user.scopes.some((each) => scopes.includes(each))) {
      throw new Refusal(403, {
        error: "insufficient_scope",
        error_description:
          "The request requires higher privileges than provided by the access token.",
        scope: scopes.join(" "),
      });
    }
    // Encoded slashes stay what they are: the raw address is looked at.
    const [raw = ""] = url.split("?");
    const parts = raw.replace(/^\/api\/v4\//, "").split("/");
    if (!raw.startsWith("/api/v4/")) throw unknownRoute();
    const ask: Ask = {
      method,
      address,
      user,
      body: parsedBody(method, headers["content-type"], body),
    };
    if (parts.join("/") === "user" && method === "GET") {
      if (user === "job") throw unauthorized();
      return { status: 200, body: { id: user.id, username: user.username } };
    }
    if (parts[0] !== "projects" || parts[1] === undefined) throw unknownRoute();
    const project = this.projects.find(
      ({ id, path }) =>
        parts[1] === String(id) || parts[1] === encodeURIComponent(path),
    );
    if (
      project === undefined ||
      (user !== "job" && !user.projects.includes(project.id))
    ) {
      throw notFound("Project");
    }
    return this.#ofProject(project, parts.slice(2), ask);
  }

  #authenticate(headers: IncomingMessage["headers"]): GitlabUser | "job" {
    const token = headers["private-token"];
    const jobToken = headers["job-token"];
    if (typeof jobToken === "string" && this.jobTokens.has(jobToken)) {
      return "job";
    }
    const user = typeof token === "string" ? this.tokens.get(token) : undefined;
    // A job's token is none of a user's.
    if (user === undefined) throw unauthorized();
    return user;
  }

  #ofProject(
    project: GitlabApiProject,
    parts: readonly string[],
    ask: Ask,
  ): Answer {
    const [kind, id, part, ...rest] = parts;
    const number = Number(id);
    if (kind === "merge_requests" && id !== undefined) {
      const found = project.mergeRequests.get(number);
      if (found === undefined) throw notFound("Merge Request");
      if (part === undefined && ask.method === "GET") {
        const { iid, head_pipeline } = found;
        return { status: 200, body: { iid, head_pipeline } };
      }
      if (part === "notes") return this.#notes(found.notes, rest, ask);
    }
    if (kind === "issues") {
      if (id === undefined) return this.#issues(project, ask);
      const found = project.issues.find(({ iid }) => iid === number);
      if (found === undefined) throw notFound("Issue");
      if (part === "notes") return this.#notes(found.notes, rest, ask);
      if (part === undefined && ask.method === "PUT") {
        return this.#changeIssue(found, ask);
      }
    }
    if (kind === "pipelines" && ask.method === "GET") {
      const found = project.pipelines.get(number);
      if (found === undefined)
        throw new Refusal(404, { message: "404 Not found" });
      const { jobs, ...pipeline } = found;
      if (part === undefined) {
        const web_url = `https://gitlab.example/${project.path}/-/pipelines/${id}`;
        return { status: 200, body: { ...pipeline, web_url } };
      }
    }
    if (kind === "jobs" && part === undefined && ask.method === "GET") {
      for (const { jobs, id, sha, ref } of project.pipelines.values()) {
        const job = jobs.find((each) => each.id === number);
        if (job === undefined) continue;
        const { name, status } = job;
        const pipeline = { id, sha, ref };
        return { status: 200, body: { id: job.id, name, status, pipeline } };
      }
      throw new Refusal(404, { message: "404 Not found" });
    }
    if (kind === "jobs" && part === "artifacts" && ask.method === "GET") {
      const job = [...project.pipelines.values()]
        .flatMap(({ jobs }) => jobs)
        .find((each) => each.id === number);
      const file = job?.artifacts[rest.map(decodeURIComponent).join("/")];
      if (file === undefined)
        throw new Refusal(404, { message: "404 Not found" });
      if (!this.isStorageElsewhere) return { status: 200, body: file };
      const place = `/bucket/${number}?signature=abc`;
      this.#stored.set(place, file);
      const location = `${originOf(this.#storage)}${place}`;
      return { status: 302, headers: { location } };
    }
    throw unknownRoute();
  }

  #notes(notes: Note[], rest: readonly string[], ask: Ask): Answer {
    const { method, address, user } = ask;
    const [id] = rest;
    if (id === undefined && method === "GET") {
      const sorted = [...notes].sort((one, other) => one.id - other.id);
      if (address.searchParams.get("sort") !== "asc") sorted.reverse();
      return this.#page(sorted, ask);
    }
    // Jobs' own tokens read notes, and write none.
    if (user === "job") throw new Refusal(403, { message: "403 Forbidden" });
    if (id === undefined && method === "POST") {
      const body = this.#carriedOut(textOf(ask.body, "body"));
      if (body === "") {
        return {
          status: 202,
          body: { commands_changes: {}, summary: ["Commands applied"] },
        };
      }
      return { status: 201, body: this.note(notes, user.id, body) };
    }
    const note = notes.find((each) => each.id === Number(id));
    if (note === undefined || id === undefined) throw notFound("Note");
    if (note.author.id !== user.id) {
      throw new Refusal(403, { message: "403 Forbidden" });
    }
    if (method === "PUT") {
      note.body = this.#carriedOut(textOf(ask.body, "body"));
      return { status: 200, body: note };
    }
    if (method === "DELETE") {
      notes.splice(notes.indexOf(note), 1);
      return { status: 204 };
    }
    throw unknownRoute();
  }

  #issues(project: GitlabApiProject, ask: Ask): Answer {
    const { method, address, user } = ask;
    const query = address.searchParams;
    if (method === "GET") {
      const labels = query.get("labels")?.split(",") ?? [];
      const state = query.get("state") ?? "all";
      const found = project.issues
        .filter(
          (issue) =>
            labels.every((label) => issue.labels.includes(label)) &&
            (state === "all" || issue.state === state),
        )
        .sort((one, other) => one.iid - other.iid)
        .map(({ notes: _, ...issue }) => issue);
      if (query.get("sort") !== "asc") found.reverse();
      return this.#page(found, ask);
    }
    if (user === "job") throw new Refusal(403, { message: "403 Forbidden" });
    if (method !== "POST") throw unknownRoute();
    const issue: Issue = {
      iid: project.issues.length + 1,
      title: textOf(ask.body, "title"),
      description: this.#carriedOut(String(ask.body.description ?? "")),
      state: "opened",
      labels: String(ask.body.labels ?? "")
        .split(",")
        .filter(Boolean),
      author: { id: user.id },
      notes: [],
    };
    project.issues.push(issue);
    const { notes: _, ...shown } = issue;
    return { status: 201, body: shown };
  }

  #changeIssue(issue: Issue, { body, user }: Ask): Answer {
    if (user === "job" || issue.author.id !== user.id) {
      throw new Refusal(403, { message: "403 Forbidden" });
    }
    const { description, state_event: event, ...others } = body;
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) {
      throw new Refusal(400, { error: `${unknown} is not expected here` });
    }
    if (description !== undefined) {
      issue.description = this.#carriedOut(String(description));
    }
    if (event === "close") issue.state = "closed";
    else if (event === "reopen") issue.state = "opened";
    else if (event !== undefined) {
      throw new Refusal(400, {
        error: "state_event does not have a valid value",
      });
    }
    const { notes: _, ...shown } = issue;
    return { status: 200, body: shown };
  }

  /** What is left of a text when GitLab has carried out its quick actions. */
  #carriedOut(body: string): string {
    if (
      [...body].length > longestText.characters ||
      Buffer.byteLength(body) > longestText.bytes
    ) {
      throw new Refusal(400, {
        message: { note: ["is too long (maximum is 1000000 characters)"] },
      });
    }
    let fence: string | undefined;
    let html: string | undefined;
    const kept = body.split("\n").filter((line) => {
      const [, mark] = /^ {0,3}(`{3,}|~{3,})/.exec(line) ?? [];
      if (fence !== undefined) {
        if (mark?.startsWith(fence)) fence = undefined;
        return true;
      }
      if (html !== undefined) {
        if (line.includes(`</${html}>`)) html = undefined;
        return true;
      }
      if (mark !== undefined) {
        fence = mark;
        return true;
      }
      const [, tag] = /^<(\w+)[^>]*>/.exec(line) ?? [];
      if (
        tag !== undefined &&
        !line.includes(`</${tag}>`) &&
        tag !== "details"
      ) {
        html = tag;
        return true;
      }
      if (!/^\/[a-z_]+/.test(line)) return true;
      this.quickActions.push(line);
      return false;
    });
    return kept.join("\n").trim();
  }

  /** A page of a list, with the links to the others. */
  #page(all: readonly unknown[], { address }: Ask): Answer {
    const query = address.searchParams;
    const size = Math.min(Number(query.get("per_page") ?? 20), 100);
    const page = Number(query.get("page") ?? 1);
    const pages = Math.max(1, Math.ceil(all.length / size));
    const linked = (number: number, rel: string) => {
      const target = new URL(address.pathname, originOf(this.#server));
      target.search = address.search;
      target.searchParams.set("page", String(number));
      target.searchParams.set("per_page", String(size));
      return `<${target.href}>; rel="${rel}"`;
    };
    const links = [
      ...(page > 1 ? [linked(page - 1, "prev")] : []),
      ...(page < pages ? [linked(page + 1, "next")] : []),
      linked(1, "first"),
      linked(pages, "last"),
    ];
    return {
      status: 200,
      body: all.slice((page - 1) * size, page * size),
      headers: {
        link: links.join(", "),
        "x-page": String(page),
        "x-per-page": String(size),
        "x-next-page": page < pages ? String(page + 1) : "",
      },
    };
  }
}

interface Ask {
  readonly method: string;
  readonly address: URL;
  readonly user: GitlabUser | "job";
  readonly body: Readonly<Record<string, unknown>>;
}

function unauthorized(): Refusal {
  return new Refusal(401, { message: "401 Unauthorized" });
}

function unknownRoute(): Refusal {
  return new Refusal(404, { error: "404 Not Found" });
}

function parsedBody(
  method: string,
  type: string | undefined,
  body: string,
): Readonly<Record<string, unknown>> {
  if (method === "GET" || method === "DELETE") return {};
  if (type !== "application/json") {
    throw new Refusal(415, {
      error: `The provided content-type '${type}' is not supported.`,
    });
  }
  return JSON.parse(body) as Record<string, unknown>;
}

function textOf(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name];
  if (typeof value === "string") return value;
  throw new Refusal(400, { error: `${name} is missing` });
}

function originOf(server: Server): string {
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}`;
}
