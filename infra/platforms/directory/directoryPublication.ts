import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { DirectoryPublicationInputs } from "./directoryPublicationProvider.ts";

/** A version of an image as files in a directory that a web server can serve. */
export class DirectoryPublication extends ModuleResource {
  /** This version's files, relative to the root; none when the image failed and was allowed to. */
  declare readonly files: pulumi.Output<string[]>;
  /** How the boot check ran the image. */
  declare readonly acceleration: pulumi.Output<"kvm" | "tcg" | undefined>;
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<DirectoryPublicationInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "platforms/directory/directoryPublicationProvider.ts",
      name,
      args,
      ["acceleration", "files", "sha512", "sizeBytes", "problems"],
      options,
      ["platforms", "DirectoryPublication"],
    );
  }
}
