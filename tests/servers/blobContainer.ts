/** A container of blobs on Azurite, behind a proxy that is strict where Azurite is not. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerClient } from "@azure/storage-blob";
import type { BlobAccess } from "../../infra/azure/access.ts";
import { containerClient } from "../../infra/azure/clients.ts";
import {
  type ApiAnswer,
  type ApiCall,
  ApiProxy,
  type ApiRequest,
  type CallDescription,
  type Forward,
  isCall,
  type ProxyRule,
} from "./apiProxy.ts";
import { apiError } from "./awsProxy.ts";
import {
  azuriteAccount,
  azuriteSecretFrom,
  startAzurite,
  useAzuriteKey,
} from "./azurite.ts";
import type { LocalServer } from "./localServer.ts";

/** The servers, with one container; disposing of them ends them, and removes what they kept. */
export class StrictContainer implements AsyncDisposable {
  readonly azurite: LocalServer;
  readonly proxy: ApiProxy;
  /** Past the proxy. */
  readonly client: ContainerClient;
  /** Through the proxy. */
  readonly access: BlobAccess;
  readonly #directory: string;

  private constructor(
    servers: Pick<StrictContainer, "azurite" | "proxy" | "client">,
    container: string,
    directory: string,
  ) {
    this.azurite = servers.azurite;
    this.proxy = servers.proxy;
    this.client = servers.client;
    this.access = accessAt(servers.proxy.url, container);
    this.#directory = directory;
  }

  static async start(container: string): Promise<StrictContainer> {
    useAzuriteKey();
    const directory = await mkdtemp(join(tmpdir(), "azurite-"));
    const azurite = await startAzurite(directory);
    const rules = [new StrictBlobs()];
    const proxy = await ApiProxy.start(azurite.url, describeCall, rules);
    const client = await containerClient(accessAt(azurite.url, container));
    await client.create();
    return new StrictContainer(
      { azurite, proxy, client },
      container,
      directory,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.azurite[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

function accessAt(endpoint: string, container: string): BlobAccess {
  const secretFrom = azuriteSecretFrom;
  return { account: azuriteAccount, container, secretFrom, endpoint };
}

/** Refuses bytes without a checksum, and blocks that are not called by ids of one length. */
class StrictBlobs implements ProxyRule {
  readonly matches = isCall("blob", "PutObject", "UploadPart");
  /** Of each blob. */
  readonly #idLengths = new Map<string, number>();

  async act(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    if (!("content-md5" in call.headers)) {
      return apiError(call, 400, "MissingRequiredHeader", "There is no MD5.");
    }
    const id = call.parameters.get("blockid");
    if (id !== null) {
      const blob = call.path.split("?")[0] ?? "";
      const length = this.#idLengths.get(blob) ?? id.length;
      this.#idLengths.set(blob, length);
      if (length !== id.length) {
        return apiError(
          call,
          400,
          "InvalidBlobOrBlock",
          "The id is of another length.",
        );
      }
    }
    return forward(call);
  }
}

/** The blob that a call is about, or `undefined` when it is about none. */
export function blobOf(path: string): string | undefined {
  const { pathname } = new URL(path, "http://any");
  const [, key] = /^\/[^/]+\/[^/]+\/(.+)$/.exec(pathname) ?? [];
  return key === undefined ? undefined : decodeURIComponent(key);
}

/** Calls of blobs in the words of S3. */
function describeCall({ method, path }: ApiRequest): CallDescription {
  const parameters = new URL(path, "http://any").searchParams;
  const actionOf = () => {
    if (blobOf(path) === undefined) return "ListObjects";
    switch (method) {
      case "PUT": {
        const names = {
          block: "UploadPart",
          blocklist: "CompleteMultipartUpload",
        };
        const comp = parameters.get("comp") ?? "";
        return names[comp as keyof typeof names] ?? "PutObject";
      }
      case "GET":
        return "GetObject";
      default:
        return method;
    }
  };
  return {
    ...{ service: "blob", action: actionOf(), parameters },
    ...{ region: "", accessKeyId: "", account: "" },
  };
}
