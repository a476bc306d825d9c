/** Names of images in a stack's configuration, in which `*` stands for any characters. */

import { z } from "zod";
import type { DefinitionName } from "./definition.ts";

export const namePatternSchema = z
  .string()
  .regex(
    /^[a-z0-9.*-]+$/,
    "must be the name of an image, in which * stands for any characters",
  );

/** Whether a pattern names an image. Pure. */
export function isNamedBy(pattern: string, name: DefinitionName): boolean {
  const expression = pattern.replaceAll(".", "\\.").replaceAll("*", ".*");
  return new RegExp(`^${expression}$`).test(name);
}
