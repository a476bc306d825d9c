import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { TreePublicationInputs } from "./publicationProvider.ts";

/** A version of an image as files in a tree that can be served. */
export class TreePublication extends ModuleResource {
  /** This version's files, relative to the root; none when the image failed and was allowed to. */
  declare readonly files: pulumi.Output<string[]>;
  /** How the boot check ran the image. */
  declare readonly acceleration: pulumi.Output<"kvm" | "tcg" | undefined>;
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  /**
   * @param module of the platform, below `infra/`
   * @param type the last part of the type token
   */
  constructor(
    module: string,
    type: string,
    name: string,
    args: InputsOf<TreePublicationInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      module,
      name,
      args,
      ["acceleration", "files", "sha512", "sizeBytes", "problems"],
      options,
      ["platforms", type],
    );
  }
}
