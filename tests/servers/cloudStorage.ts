/** Buckets of Cloud Storage on an emulator, behind a proxy that is strict where the emulator is not. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bucket, Storage } from "@google-cloud/storage";
import { projectPath } from "../../infra/projectPaths.ts";
import { ApiProxy, type ApiRequest, type CallDescription } from "./apiProxy.ts";
import { freePort } from "./freePort.ts";
import { type LocalServer, startServer } from "./localServer.ts";
import { objectOf, StrictCloudStorage } from "./strictCloudStorage.ts";

/**
 * Starts the emulator with nothing in it: it answers as Cloud Storage does, as far as it goes.
 *
 * @param directory of the test's, which it removes
 */
export async function startCloudStorage(
  directory: string,
): Promise<LocalServer> {
  const port = await freePort();
  return startServer({
    command: join(projectPath(".tools/python/bin"), "gcp-storage-emulator"),
    args: ["start", "--host", "127.0.0.1", "--port", String(port)],
    // It has the directory's path in two pieces.
    env: { STORAGE_BASE: "/", STORAGE_DIR: directory.slice(1) },
    ready: /Starting server at 127\.0\.0\.1:(\d+)[\s\S]*All services started/,
  });
}

/** The servers, with one bucket; disposing of them ends them, and removes what they kept. */
export class StrictCloudBucket implements AsyncDisposable {
  readonly proxy: ApiProxy;
  /** As strict, for those who do not take part in what tests do to calls. */
  readonly otherProxy: ApiProxy;
  /** Past the proxies. */
  readonly bucket: Bucket;
  readonly #emulator: LocalServer;
  readonly #directory: string;

  private constructor(
    emulator: LocalServer,
    proxies: Pick<StrictCloudBucket, "proxy" | "otherProxy">,
    bucket: Bucket,
    directory: string,
  ) {
    this.#emulator = emulator;
    this.proxy = proxies.proxy;
    this.otherProxy = proxies.otherProxy;
    this.bucket = bucket;
    this.#directory = directory;
  }

  static async start(name: string): Promise<StrictCloudBucket> {
    const directory = await mkdtemp(join(tmpdir(), "cloud-storage-"));
    const emulator = await startCloudStorage(directory);
    const rules = [new StrictCloudStorage()];
    const start = () => ApiProxy.start(emulator.url, describeCall, rules);
    const [proxy, otherProxy] = [await start(), await start()];
    const storage = new Storage({
      apiEndpoint: emulator.url,
      projectId: "tests",
    });
    const [bucket] = await storage.createBucket(name);
    return new StrictCloudBucket(
      emulator,
      { proxy, otherProxy },
      bucket,
      directory,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.otherProxy[Symbol.asyncDispose]();
    await this.#emulator[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Calls of objects in the words of S3. */
function describeCall({ method, path }: ApiRequest): CallDescription {
  const { pathname, searchParams: parameters } = new URL(path, "http://any");
  const actionOf = () => {
    if (pathname.startsWith("/upload/")) {
      if (parameters.has("upload_id")) return "UploadPart";
      return parameters.get("uploadType") === "resumable"
        ? "CreateMultipartUpload"
        : "PutObject";
    }
    if (objectOf(path) === undefined) return "ListObjects";
    if (method !== "GET") return `${method}Object`;
    return parameters.get("alt") === "media" ? "GetObject" : "HEAD";
  };
  return {
    ...{ service: "gcs", action: actionOf(), parameters },
    ...{ region: "", accessKeyId: "", account: "" },
  };
}
