import { blobAddresses } from "../../infra/azure/blobAddress.ts";
import { azuriteSecretFrom } from "../servers/azurite.ts";
import { blobOf, StrictContainer } from "../servers/blobContainer.ts";
import { describeBucketStore, type ServedBucket } from "./bucketStores.ts";

let server: StrictContainer;

async function start(): Promise<ServedBucket> {
  server = await StrictContainer.start("images");
  const { client, proxy, azurite, access } = server;
  return {
    proxy,
    address: (prefix) => blobAddresses.of({ ...access, prefix }),
    directAddress: (prefix) =>
      blobAddresses.of({ ...access, prefix, endpoint: azurite.url }),
    keyOf: ({ path }) => blobOf(path),
    async list(prefix) {
      const keys: string[] = [];
      for await (const { name } of client.listBlobsFlat({ prefix })) {
        keys.push(name);
      }
      return keys;
    },
    async sizeOf(key) {
      const { contentLength } = await client.getBlobClient(key).getProperties();
      return contentLength ?? 0;
    },
    async put(key, bytes, keepsMetadata = false) {
      const blob = client.getBlockBlobClient(key);
      const { metadata } = keepsMetadata ? await blob.getProperties() : {};
      await blob.upload(Buffer.from(bytes), bytes.length, {
        ...(metadata && { metadata }),
      });
    },
    async unfinishedUploads(key) {
      const blob = client.getBlockBlobClient(key);
      const { uncommittedBlocks = [] } = await blob
        .getBlockList("uncommitted")
        // Once it is whole there is none.
        .catch(() => ({}) as { uncommittedBlocks?: never[] });
      return uncommittedBlocks.length > 0 ? 1 : 0;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describeBucketStore("a store in a container of Azure", {
  start,
  leavesUploads: true,
  secrets: [azuriteSecretFrom],
  quoted: [],
  wrongPlaces: [
    {
      what: "there is no such container",
      address: (_, prefix) =>
        blobAddresses.of({ ...server.access, prefix, container: "imagse" }),
      said: /has no container imagse\. Make it, or correct its name/,
    },
  ],
  refusals: [
    {
      code: "AuthorizationPermissionMismatch",
      status: 403,
      said: /may not do that.*Storage Blob Data Contributor/,
    },
    { code: "InvalidAuthenticationInfo", status: 401, said: /have run out/ },
  ],
});
