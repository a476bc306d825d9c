import { expect, it } from "vitest";
import {
  aptProgressFrom,
  readAptLine,
} from "../../../infra/image/build/aptProgress.ts";
import type { BuildEvent, Phase } from "../../../infra/image/build/request.ts";

const output = `Calling task_extrbase
Calling task_updatebase
0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.
Calling task_instsoft
2 upgraded, 3 newly installed, 0 to remove and 0 not upgraded.
Get:1 http://mirror trixie/main amd64 a amd64 1.0 [1 kB]
Preparing to unpack .../a_1.0_amd64.deb ...
Unpacking a (1.0) ...
Setting up a (1.0) ...
Setting up b (1.0) ...
Processing triggers for libc-bin (2.41) ...
Setting up c (1.0) ...
Calling task_configure
Setting up is also what a script might say`;

function eventsOf(phase: Phase, text: string): readonly BuildEvent[] {
  let progress = aptProgressFrom(phase);
  const events: BuildEvent[] = [];
  for (const line of text.split("\n")) {
    const step = readAptLine(progress, line);
    progress = step.progress;
    events.push(...step.events);
  }
  return events;
}

it("FAI's output is told as phases and packages, the ones installed of all", () => {
  expect(eventsOf("base system", output)).toEqual([
    { kind: "phase", phase: "package lists" },
    { kind: "phase", phase: "download" },
    { kind: "phase", phase: "packages" },
    { kind: "packages", done: 1, all: 3 },
    { kind: "packages", done: 2, all: 3 },
    { kind: "packages", done: 3, all: 3 },
    { kind: "phase", phase: "scripts" },
  ]);
});

it("a layer's output is told as packages of one phase", () => {
  const layer = output.replaceAll(/^Calling task_.*\n/gm, "");
  expect(eventsOf("shared packages", layer)).toEqual([
    { kind: "packages", done: 1, all: 3 },
    { kind: "packages", done: 2, all: 3 },
    { kind: "packages", done: 3, all: 3 },
    { kind: "packages", done: 4, all: 4 },
  ]);
});
