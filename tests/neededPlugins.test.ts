import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { neededPlugins } from "../infra/neededPlugins.ts";
import { projectPath } from "../infra/projectPaths.ts";

it.each([
  [{ definitions: ["*"], directory: {}, bucket: {}, openstack: {} }, []],
  [{ ec2: {}, gce: {} }, ["aws", "gcp"]],
  [{ account: {} }, ["aws"]],
  [
    { runnerHosts: { a: { kind: "existing" }, b: { kind: "gce" } } },
    ["command", "gcp"],
  ],
  [{ runnerHosts: { a: null, b: "what" } }, []],
])("of %j are %j", (config, plugins) => {
  expect(neededPlugins({ config })).toEqual(plugins);
});

it("of the worked example are all", async () => {
  const text = await readFile(projectPath("Pulumi.prod.yaml"), "utf8");
  const { config } = parse(text) as { config: Record<string, unknown> };
  const own = Object.entries(config).map(([key, value]) => [
    key.replace("cloud-images:", ""),
    value,
  ]);
  expect(neededPlugins({ config: Object.fromEntries(own) })).toEqual([
    ...["aws", "azure-native", "command", "gcp", "gitlab"],
  ]);
});
