/** Images of Compute Engine, by its REST API of version 1. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import type { GoogleAccess } from "./access.ts";
import { Credentials } from "./clients.ts";
import {
  failureKind,
  GoogleError,
  googleFailure,
  googleStatus,
} from "./failures.ts";

/** How long and how often a call is tried. */
export interface Patience {
  /** Of one call, from its first attempt on. */
  readonly seconds: number;
  /** Before the second attempt; each further pause is twice as long, and lengthened by chance. */
  readonly firstPauseSeconds: number;
  readonly longestPauseSeconds: number;
  /** Of one operation: Compute Engine takes minutes to make an image of some GiB. */
  readonly operationSeconds: number;
}

export const usualPatience: Patience = {
  seconds: 300,
  firstPauseSeconds: 0.5,
  longestPauseSeconds: 20,
  operationSeconds: 3600,
};

/** A server that says nothing for that long is given up; a wait for an operation returns after two minutes. */
const silenceSeconds = 150;

/** Most images on one page (images.list, maxResults). */
const pageSize = 500;

/** Whether a new disk should be made from an image. */
export interface Deprecation {
  readonly state?: "ACTIVE" | "DEPRECATED" | "OBSOLETE" | "DELETED";
  /** URL of the image to use instead. */
  readonly replacement?: string;
}

/** An image as Compute Engine shows it; numbers of 64 bits are texts. */
export interface ComputeImage {
  readonly id: string;
  readonly name: string;
  readonly selfLink: string;
  readonly status: "PENDING" | "READY" | "FAILED" | "DELETING";
  readonly description?: string;
  readonly family?: string;
  readonly architecture?: string;
  readonly guestOsFeatures?: readonly { readonly type: string }[];
  readonly licenses?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly labelFingerprint?: string;
  readonly deprecated?: Deprecation;
  /** Of the disk, in GiB. */
  readonly diskSizeGb?: string;
  readonly storageLocations?: readonly string[];
}

/** What an image is made from and how. */
export interface NewImage {
  readonly name: string;
  readonly description: string;
  readonly architecture: "X86_64" | "ARM64";
  readonly guestOsFeatures: readonly { readonly type: string }[];
  readonly licenses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly storageLocations: readonly string[];
  readonly rawDisk: { readonly source: string; readonly containerType: "TAR" };
}

/** Something that Compute Engine is at work on. */
interface Operation {
  readonly name: string;
  readonly status: "PENDING" | "RUNNING" | "DONE";
  readonly httpErrorStatusCode?: number;
  readonly error?: {
    readonly errors?: readonly {
      readonly code?: string;
      readonly message?: string;
    }[];
  };
}

interface Request {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below the project. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** The images of one project. */
export class ComputeApi {
  readonly #access: GoogleAccess;
  readonly #credentials: Credentials;
  readonly #patience: Patience;

  private constructor(
    access: GoogleAccess,
    credentials: Credentials,
    patience: Patience,
  ) {
    this.#access = access;
    this.#credentials = credentials;
    this.#patience = patience;
  }

  /** @throws {UserError} when there are no credentials. */
  static async open(
    access: GoogleAccess,
    patience: Patience = usualPatience,
  ): Promise<ComputeApi> {
    try {
      const credentials = await Credentials.of(access);
      return new ComputeApi(access, credentials, patience);
    } catch (error) {
      throw googleFailure("let anybody in", whereOf(access), error);
    }
  }

  /** The image of that name, or `undefined` when there is none. */
  findImage(name: string): Promise<ComputeImage | undefined> {
    return this.#find(`look at the image ${name}`, `global/images/${name}`);
  }

  /** Whether Compute Engine has a region of that name. */
  async hasRegion(name: string): Promise<boolean> {
    const task = `look at the region ${name}`;
    return (await this.#find<object>(task, `regions/${name}`)) !== undefined;
  }

  /** All images of the project itself. */
  async images(): Promise<readonly ComputeImage[]> {
    const found: ComputeImage[] = [];
    let pageToken: string | undefined;
    do {
      const page: {
        items?: readonly ComputeImage[];
        nextPageToken?: string;
      } = await this.#call("list the images", {
        method: "GET",
        path: "global/images",
        query: {
          maxResults: String(pageSize),
          ...(pageToken === undefined ? {} : { pageToken }),
        },
      });
      found.push(...(page.items ?? []));
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined && pageToken !== "");
    return found;
  }

  /** Makes an image, and waits for it. */
  async makeImage(image: NewImage): Promise<void> {
    await this.#change(`make the image ${image.name}`, {
      method: "POST",
      path: "global/images",
      body: image,
    });
  }

  /** Changes what can be changed of an image besides its labels and deprecation. */
  async patchImage(
    name: string,
    changes: { readonly family?: string; readonly description?: string },
  ): Promise<void> {
    await this.#change(`change the image ${name}`, {
      method: "PATCH",
      path: `global/images/${name}`,
      body: changes,
    });
  }

  async deprecateImage(name: string, deprecation: Deprecation): Promise<void> {
    await this.#change(`deprecate the image ${name}`, {
      method: "POST",
      path: `global/images/${name}/deprecate`,
      body: deprecation,
    });
  }

  /** Gives an image these labels in place of all that it has, unless somebody changed them since it was looked at. */
  async setLabels(
    { name, labelFingerprint }: ComputeImage,
    labels: Readonly<Record<string, string>>,
  ): Promise<void> {
    await this.#change(`label the image ${name}`, {
      method: "POST",
      path: `global/images/${name}/setLabels`,
      body: { labels, labelFingerprint },
    });
  }

  /** Deletes an image; one that is gone is no error. */
  async deleteImage(name: string): Promise<void> {
    await this.#change(
      `delete the image ${name}`,
      { method: "DELETE", path: `global/images/${name}` },
      404,
    );
  }

  async #find<T>(task: string, path: string): Promise<T | undefined> {
    return this.#call<T | undefined>(task, { method: "GET", path }, 404);
  }

  /** Makes a call that begins an operation, once however often it is sent, and waits for its end. */
  async #change(
    task: string,
    request: Request,
    expectedStatus?: number,
  ): Promise<void> {
    let operation = await this.#call<Operation | undefined>(
      task,
      { ...request, query: { requestId: randomUUID() } },
      expectedStatus,
    );
    const end = performance.now() + this.#patience.operationSeconds * 1000;
    while (operation !== undefined && operation.status !== "DONE") {
      if (performance.now() > end) {
        throw googleFailure(
          task,
          whereOf(this.#access),
          new GoogleError(504, [], `the operation ${operation.name} goes on`),
        );
      }
      operation = await this.#call<Operation>(`wait to ${task}`, {
        method: "POST",
        path: `global/operations/${operation.name}/wait`,
      });
    }
    const errors = operation?.error?.errors ?? [];
    if (errors.length === 0) return;
    throw googleFailure(
      task,
      whereOf(this.#access),
      new GoogleError(
        operation?.httpErrorStatusCode ?? 400,
        errors.flatMap(({ code }) => code ?? []),
        errors.map(({ message }) => message ?? "").join(" "),
      ),
    );
  }

  /** @param expectedStatus that is no error: the result is `undefined` */
  async #call<T>(
    task: string,
    request: Request,
    expectedStatus?: number,
  ): Promise<T> {
    const { seconds, firstPauseSeconds, longestPauseSeconds } = this.#patience;
    let hasRenewed = false;
    try {
      return await pRetry(() => this.#attempt<T>(request), {
        retries: Number.POSITIVE_INFINITY,
        maxRetryTime: seconds * 1000,
        minTimeout: firstPauseSeconds * 1000,
        maxTimeout: longestPauseSeconds * 1000,
        shouldRetry: async ({ error, retryDelay }) => {
          const kind = failureKind(error);
          if (kind === "expired" && !hasRenewed) {
            hasRenewed = true;
            await this.#credentials.renew();
            return true;
          }
          if (kind !== "passing") return false;
          await sleep(Math.random() * retryDelay);
          return true;
        },
      });
    } catch (error) {
      if (
        expectedStatus !== undefined &&
        googleStatus(error) === expectedStatus
      ) {
        return undefined as T;
      }
      throw googleFailure(task, whereOf(this.#access), error);
    }
  }

  async #attempt<T>({ method, path, query, body }: Request): Promise<T> {
    const { endpoint, project } = this.#access;
    const server = endpoint ?? "https://compute.googleapis.com";
    const url = new URL(`${server}/compute/v1/projects/${project}/${path}`);
    for (const [name, value] of Object.entries(query ?? {})) {
      url.searchParams.set(name, value);
    }
    const answer = await fetch(url, {
      method,
      headers: {
        ...(await this.#credentials.headers(url.href)),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(silenceSeconds * 1000),
    }).catch((error: unknown) => {
      throw brokenConnection(error);
    });
    const text = await answer.text().catch((error: unknown) => {
      throw brokenConnection(error);
    });
    if (answer.ok) return JSON.parse(text) as T;
    throw saidError(answer.status, text);
  }
}

/** Where something was to be done, for messages. */
function whereOf({ project }: GoogleAccess): string {
  return `the project ${project}`;
}

/** Whatever `fetch` says of a connection that was not made, broke or fell silent. */
function brokenConnection(error: unknown): Error {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const said = cause instanceof Error ? cause.message : String(cause);
  return Object.assign(new Error(said, { cause: error }), {
    code: "ECONNRESET",
  });
}

function saidError(status: number, text: string): GoogleError {
  try {
    const { error } = JSON.parse(text) as {
      error: { message: string; errors?: readonly { reason?: string }[] };
    };
    const reasons = (error.errors ?? []).flatMap(({ reason }) => reason ?? []);
    return new GoogleError(status, reasons, error.message);
  } catch {
    return new GoogleError(status, [], text);
  }
}
