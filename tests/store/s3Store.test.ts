import {
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { s3Addresses } from "../../infra/aws/bucketAddress.ts";
import { StrictBucket } from "../servers/bucket.ts";
import { describeBucketStore, type ServedBucket } from "./bucketStores.ts";

async function start(): Promise<ServedBucket> {
  const server = await StrictBucket.start("images");
  const { client, proxy, access, moto } = server;
  const Bucket = access.bucket;
  return {
    proxy,
    address: (prefix) => s3Addresses.of({ ...access, prefix }),
    directAddress: (prefix) =>
      s3Addresses.of({ ...access, prefix, endpoint: moto.url }),
    keyOf: ({ path }) => /^\/images\/([^?]+)/.exec(path)?.[1],
    async list(Prefix) {
      const request = new ListObjectsV2Command({ Bucket, Prefix });
      const { Contents = [] } = await client.send(request);
      return Contents.map(({ Key = "" }) => Key);
    },
    async sizeOf(Key) {
      const request = new HeadObjectCommand({ Bucket, Key });
      return (await client.send(request)).ContentLength ?? 0;
    },
    async put(Key, Body, keepsMetadata = false) {
      const { Metadata } = keepsMetadata
        ? await client.send(new HeadObjectCommand({ Bucket, Key }))
        : {};
      await client.send(
        new PutObjectCommand({
          ...{ Bucket, Key, Body },
          ...(Metadata && { Metadata, ChecksumAlgorithm: "SHA256" }),
        }),
      );
    },
    async unfinishedUploads(Prefix) {
      const request = new ListMultipartUploadsCommand({ Bucket, Prefix });
      return (await client.send(request)).Uploads?.length ?? 0;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A place that differs from the good one in its settings. */
const changed =
  (settings: object) =>
  ({ proxy }: ServedBucket, prefix: string) =>
    s3Addresses.of({
      ...{ bucket: "images", region: "eu-central-1", endpoint: proxy.url },
      ...{ prefix, ...settings },
    });

describeBucketStore("a store in a bucket of S3", {
  start,
  leavesUploads: true,
  secrets: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
  quoted: ["AWS_ACCESS_KEY_ID"],
  wrongPlaces: [
    {
      what: "there is no such bucket",
      address: changed({ bucket: "imagse" }),
      said: /there is no bucket imagse\. Make it, or correct its name/,
    },
    {
      what: "it is in another region",
      address: changed({ region: "us-east-1" }),
      said: /is not in the region us-east-1.*Correct the region/,
    },
    {
      what: "nobody answers",
      address: changed({ endpoint: "http://127.0.0.1:9" }),
      said: /http:\/\/127\.0\.0\.1:9 cannot be reached \(ECONNREFUSED\)/,
    },
  ],
  refusals: [
    {
      code: "AccessDenied",
      status: 403,
      said: /may not do that \(.*permissions/,
    },
    { code: "ExpiredToken", status: 400, said: /have run out\. Log in again/ },
    {
      code: "InvalidAccessKeyId",
      status: 403,
      said: /does not take the AWS credentials/,
    },
  ],
});
