/** What of `pulumi stack export` says what a killed run had begun to make. Pure. */

import { z } from "zod";

const resourceSchema = z.looseObject({
  urn: z.string(),
  id: z.string().optional(),
  type: z.string(),
  provider: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).default({}),
});
export type ExportedResource = z.output<typeof resourceSchema>;

const deploymentSchema = z.object({
  deployment: z
    .object({
      resources: z.array(resourceSchema).default([]),
      pending_operations: z
        .array(z.object({ type: z.string(), resource: resourceSchema }))
        .default([]),
    })
    .nullish(),
});

/** A stack's resources, and those that a run was making when it was killed. */
export interface ExportedStack {
  readonly resources: readonly ExportedResource[];
  /** Pulumi goes on to name them, also after a later run has made them. */
  readonly pendingCreates: readonly ExportedResource[];
}

/** @param exported what `pulumi stack export` gives */
export function exportedStack(exported: unknown): ExportedStack {
  const { deployment } = deploymentSchema.parse(exported);
  const pending = deployment?.pending_operations ?? [];
  return {
    resources: deployment?.resources ?? [],
    pendingCreates: pending
      .filter(({ type }) => type === "creating")
      .map(({ resource }) => resource),
  };
}

/** The provider of a resource; it goes with the last resource of a place. */
export function providerOf(
  { provider }: ExportedResource,
  { resources }: ExportedStack,
): ExportedResource | undefined {
  return resources.find(({ urn, id }) => `${urn}::${id}` === provider);
}
