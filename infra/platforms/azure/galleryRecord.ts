import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { GalleryRecordInputs } from "./galleryRecordProvider.ts";

/** The record of an image version in the store: written when it is in its gallery. */
export class GalleryRecord extends ModuleResource {
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<GalleryRecordInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "platforms/azure/galleryRecordProvider.ts",
      name,
      args,
      ["problems"],
      options,
      ["platforms", "GalleryRecord"],
    );
  }
}
