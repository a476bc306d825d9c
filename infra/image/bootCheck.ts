import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../dynamic/provider.ts";
import type { BootCheckInputs } from "./bootCheckProvider.ts";

/** The proof that an image boots with one firmware; or, of an image that is allowed to fail, why there is none. */
export class BootCheck extends ModuleResource {
  /** How qemu ran it. */
  declare readonly acceleration: pulumi.Output<"kvm" | "tcg" | undefined>;
  /** When the image proved it: ISO 8601, UTC. */
  declare readonly checkedAt: pulumi.Output<string | undefined>;
  /** Seconds from qemu's start to each milestone. */
  declare readonly milestoneSeconds: pulumi.Output<
    Record<string, number> | undefined
  >;
  /** Why the image has not proved it, where it was allowed to fail; absent in states of old. */
  declare readonly failures: pulumi.Output<readonly string[] | undefined>;
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<BootCheckInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "image/bootCheckProvider.ts",
      name,
      args,
      ["acceleration", "checkedAt", "milestoneSeconds", "failures", "problems"],
      options,
      ["image", "BootCheck"],
    );
  }
}
