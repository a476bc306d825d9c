/** What GitLab has to hear of machines, by what their host leaves out. */

import { expect, test } from "vitest";
import { machinesOf, silentMinutesOf } from "../../infra/runners/presence.ts";
import { runnerHostsConfigSchema } from "../../infra/runners/runnerHostsConfig.ts";
import { sampleHosts } from "./sampleHosts.ts";

const { ec2, gce, az, existing } = sampleHosts;
const always = { hours: undefined, machines: undefined };
const week = 8 * 24 * 60;

function parsed(host: object) {
  const found = runnerHostsConfigSchema.parse({ host }).host;
  if (found === undefined) throw new Error("There is no host.");
  return found;
}

test.each<[string, object, number]>([
  ["one machine of EC2, with nothing said", { ...ec2, ...always }, 120],
  ["one machine of Google's, with nothing said", { ...gce, ...always }, 120],
  ["one machine of Azure's, with nothing said", { ...az, ...always }, 120],
  [
    "many machines without hours",
    { ...ec2, ...always, machines: { max: 4 } },
    120,
  ],
  ["machines with hours and none outside", ec2, week],
  ["machines with hours and one outside", gce, 120],
  ["a machine that exists", existing, 120],
  ["whoever has a number, and rests", { ...ec2, silentMinutes: 300 }, 300],
  [
    "whoever has a number, and does not",
    { ...existing, silentMinutes: 60 },
    60,
  ],
])("%s may be silent for so long", (_case, host, minutes) => {
  expect(silentMinutesOf(parsed(host))).toBe(minutes);
});

test.each<[string, object, number]>([
  ["one machine in a cloud, with nothing said", { ...ec2, ...always }, 1],
  [
    "four without hours",
    { ...ec2, ...always, machines: { min: 2, max: 4 } },
    4,
  ],
  ["hours and none outside", ec2, 0],
  ["hours and one outside", gce, 1],
  ["a machine that exists", existing, 1],
])("%s: so many have to be heard of", (_case, host, machines) => {
  const hosts = { host: parsed(host) };
  const [runner = ""] = hosts.host.runners;
  expect(machinesOf(runner, hosts)).toBe(machines);
});

test("machines of all hosts of a runner count", () => {
  const four = { ...gce, ...always, machines: { max: 4 } };
  const hosts = runnerHostsConfigSchema.parse({ ec2, existing, four });
  expect(machinesOf("release-amd64", hosts)).toBe(5);
  expect(machinesOf("release-arm64", hosts)).toBe(1);
});
