import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { Verification } from "../../store/records.ts";
import type { PageBlobInputs } from "./pageBlobProvider.ts";

/** A disk as a blob of pages, sent without its zeros, read back and proven to be what was built. */
export class PageBlob extends ModuleResource {
  /** Its address, without any right to read it. */
  declare readonly url: pulumi.Output<string>;
  declare readonly verification: pulumi.Output<Verification>;
  /** What went over the network in the last run that made it. */
  declare readonly sentBytes: pulumi.Output<number>;
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<PageBlobInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "platforms/azure/pageBlobProvider.ts",
      name,
      args,
      ["url", "etag", "verification", "sentBytes", "problems"],
      options,
      ["platforms", "PageBlob"],
    );
  }
}
