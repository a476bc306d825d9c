/** Which provider plugins a stack needs: they are large, so nobody gets those of other clouds. Pure. */

import type { StackFile } from "./stackFile.ts";

/** Packages of Pulumi whose plugins this program uses. */
export type PluginName = "aws" | "azure-native" | "command" | "gcp" | "gitlab";

/** By sections of a stack's file. Google's images are made without the plugin; who may use them is said by it. */
const pluginsOfSections: Readonly<Record<string, PluginName>> = {
  account: "aws",
  azure: "azure-native",
  ec2: "aws",
  gce: "gcp",
  gitlab: "gitlab",
};

const pluginsOfHosts: Readonly<Record<string, PluginName>> = {
  azure: "azure-native",
  ec2: "aws",
  existing: "command",
  gce: "gcp",
};

/** The plugins, sorted. What the file has wrong is for the program to say. */
export function neededPlugins({
  config,
}: Pick<StackFile, "config">): readonly PluginName[] {
  const hosts = Object.values(config.runnerHosts ?? {}) as unknown[];
  const names = [
    ...Object.keys(config).map((section) => pluginsOfSections[section]),
    ...hosts.map((host) => pluginsOfHosts[kindOf(host)]),
  ];
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

function kindOf(host: unknown): string {
  return host !== null && typeof host === "object" && "kind" in host
    ? String(host.kind)
    : "";
}
