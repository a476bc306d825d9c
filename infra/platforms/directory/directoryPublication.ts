import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { Format } from "../../store/records.ts";
import type { DirectoryPublicationInputs } from "./directoryPublicationProvider.ts";

/** A version of an image as files in a directory that a web server can serve. */
export class DirectoryPublication extends ModuleResource {
  /** Where this version is, relative to the root: `trixie/20261121-0312`. */
  declare readonly directory: pulumi.Output<string>;
  /** The image's files, relative to the root. */
  declare readonly files: pulumi.Output<Partial<Record<Format, string>>>;
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
      ["directory", "files", "sha512", "sizeBytes", "problems"],
      options,
      ["platforms", "DirectoryPublication"],
    );
  }
}
