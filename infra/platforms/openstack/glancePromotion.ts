import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { GlancePromotionInputs } from "./glancePromotionProvider.ts";

/** The newest image of a definition in a cloud: it has the name that users ask for, and those before it are hidden. */
export class GlancePromotion extends ModuleResource {
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<GlancePromotionInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "platforms/openstack/glancePromotionProvider.ts",
      name,
      args,
      ["problems"],
      options,
      ["platforms", "GlancePromotion"],
    );
  }
}
