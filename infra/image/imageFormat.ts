import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../dynamic/provider.ts";
import type { ImageFormatInputs } from "./imageFormatProvider.ts";

/** A file that holds a raw image in another form, kept in the store. */
export class ImageFormat extends ModuleResource {
  /** sha256 of the file, in hex; none when the image failed and was allowed to. */
  declare readonly sha256: pulumi.Output<string | undefined>;
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<ImageFormatInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "image/imageFormatProvider.ts",
      name,
      args,
      ["sha256", "problems"],
      options,
      ["image", "ImageFormat"],
    );
  }
}
