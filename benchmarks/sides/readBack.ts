/** A disk in a snapshot compared with the file that it was made from; or that file summed up, and nothing else. */

import type { AwsAccess } from "../../infra/aws/access.ts";
import { ebsDirect } from "../../infra/platforms/ec2/ebsDirect.ts";
import { sha256OfFile } from "../../infra/store/digest.ts";
import type { Sha256 } from "../../infra/store/store.ts";
import { anyCredentials } from "../../tests/servers/strictAws.ts";
import { answer } from "./answer.ts";

export type ReadBackRequest =
  | { readonly way: "file"; readonly rawPath: string }
  | {
      readonly way: "snapshot";
      readonly rawPath: string;
      readonly rawSha256: string;
      readonly sizeBytes: number;
      readonly access: AwsAccess;
      readonly snapshotId: string;
    };

export interface ReadBackResult {
  readonly sha256: string;
}

Object.assign(process.env, anyCredentials);

await answer(async (request: ReadBackRequest): Promise<ReadBackResult> => {
  if (request.way === "file") return sha256OfFile(request.rawPath);
  const { way: _, rawSha256, ...disk } = request;
  const { sha256 = "" } = await ebsDirect().readBack(
    {
      ...disk,
      rawSha256: rawSha256 as Sha256,
      label: "benchmark",
      extent: "all",
    },
    () => {},
  );
  return { sha256 };
});
