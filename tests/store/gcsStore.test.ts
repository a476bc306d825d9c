import { gcsAddresses } from "../../infra/google/bucketAddress.ts";
import { StrictCloudBucket } from "../servers/cloudStorage.ts";
import { objectOf } from "../servers/strictCloudStorage.ts";
import { describeBucketStore, type ServedBucket } from "./bucketStores.ts";

const bucketName = "images";

async function start(): Promise<ServedBucket> {
  const server = await StrictCloudBucket.start(bucketName);
  const { bucket, proxy, otherProxy } = server;
  const at = (endpoint: string) => (prefix: string) =>
    gcsAddresses.of({ bucket: bucketName, prefix, endpoint });
  return {
    proxy,
    address: at(proxy.url),
    directAddress: at(otherProxy.url),
    keyOf: ({ path }) => objectOf(path),
    async list(prefix) {
      const [files] = await bucket.getFiles({ prefix });
      return files.map(({ name }) => name);
    },
    async sizeOf(key) {
      const [{ size }] = await bucket.file(key).getMetadata();
      return Number(size);
    },
    async put(key, bytes, keepsMetadata = false) {
      const file = bucket.file(key);
      const [{ metadata }] = keepsMetadata ? await file.getMetadata() : [{}];
      await file.save(Buffer.from(bytes), {
        resumable: false,
        metadata: { ...(metadata && { metadata }) },
      });
    },
    unfinishedUploads: async () => 0,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A place that differs from the good one in its settings. */
const changed =
  (settings: object) =>
  ({ proxy }: ServedBucket, prefix: string) =>
    gcsAddresses.of({
      ...{ bucket: bucketName, endpoint: proxy.url },
      ...{ prefix, ...settings },
    });

describeBucketStore("a store in a bucket of Cloud Storage", {
  start,
  leavesUploads: false,
  secrets: [],
  quoted: [],
  wrongPlaces: [
    {
      what: "there is no such bucket",
      address: changed({ bucket: "imagse" }),
      said: /there is no bucket imagse\. Make it, or correct its name/,
    },
  ],
  refusals: [
    {
      code: "forbidden",
      status: 403,
      said: /may not do that.*docs\/stores\.md/,
    },
    {
      code: "authError",
      status: 401,
      said: /does not know the credentials.*Log in again/,
    },
  ],
});
