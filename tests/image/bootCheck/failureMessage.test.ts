import { expect, test } from "vitest";
import { failureMessage } from "../../../infra/image/bootCheck/failureMessage.ts";
import { judge } from "../../../infra/image/bootCheck/judge.ts";
import type { Observation } from "../../../infra/image/bootCheck/observation.ts";
import { definitionWith, goodObservation } from "./fixtures.ts";

const output = {
  console: "/out/bios.log",
  screenshot: "/out/bios.png",
  junit: "/out/bios.xml",
};

function messageOf(changes: Partial<Observation>): string {
  const definition = definitionWith();
  const observation = { ...goodObservation, ...changes };
  const { bootCheck } = definition;
  return failureMessage({
    request: { definition, firmware: "bios" },
    output,
    observation,
    assertions: judge(observation, { firmware: "bios", bootCheck }),
  });
}

test("a failure says what was not proved, shows the console and names the files", () => {
  const changes: Partial<Observation> = {
    report: { kind: "absent" },
    ending: { kind: "time-limit", seconds: 20 },
    consoleTail: ["one", "two"],
    durationSeconds: 20.4,
  };
  expect(messageOf(changes)).toBe(
    [
      "debian-13-nocloud-amd64 failed its boot check by bios after 20 s.",
      "Not proved: systemd finishes starting: the guest was not done within 20 s.",
      "The console's last lines:",
      "    one",
      "    two",
      "Whole console: /out/bios.log",
      "Display: /out/bios.png",
    ].join("\n"),
  );
});

test("where nothing came on the console, the firmware's own words stand in", () => {
  const message = messageOf({
    report: { kind: "absent" },
    ending: { kind: "time-limit", seconds: 20 },
    consoleTail: [],
    firmwareTail: ["Booting from Hard Disk..."],
    hasScreenshot: false,
  });
  expect(message).toContain(
    "The console's last lines: none\nThe firmware's last lines:\n    Booting from Hard Disk...\n",
  );
  expect(message).toContain("\nDisplay: could not be recorded");
});
