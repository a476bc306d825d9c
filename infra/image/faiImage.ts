import type * as pulumi from "@pulumi/pulumi";
import type { ImageVersion } from "../definitions/definition.ts";
import { type InputsOf, ModuleResource } from "../dynamic/provider.ts";
import type { FaiImageInputs } from "./faiImageProvider.ts";

/**
 * A raw disk image, built by FAI and kept in the store under its key. Changes of anything that decides its
 * bytes change the key, and a new key is a new resource; so this one is never rebuilt, only repaired.
 */
export class FaiImage extends ModuleResource {
  /** The public name of the build, `YYYYMMDD-N`; none when it failed and was allowed to. */
  declare readonly version: pulumi.Output<ImageVersion | undefined>;
  /** sha256 of the raw image, in hex; none when it failed and was allowed to. */
  declare readonly rawSha256: pulumi.Output<string | undefined>;
  /** Why there is no image, where it was allowed to fail; absent in states of old. */
  declare readonly failures: pulumi.Output<readonly string[] | undefined>;
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<FaiImageInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "image/faiImageProvider.ts",
      name,
      args,
      ["version", "rawSha256", "failures", "problems"],
      options,
      ["image", "FaiImage"],
    );
  }
}
