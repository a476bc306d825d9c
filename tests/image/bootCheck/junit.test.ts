import { expect, test } from "vitest";
import { judge } from "../../../infra/image/bootCheck/judge.ts";
import { escapeXml, junitXml } from "../../../infra/image/bootCheck/junit.ts";
import { goodObservation } from "./fixtures.ts";

const expectation = {
  firmware: "bios",
  bootCheck: { rootGrows: false, diskSizeGiB: 6 },
} as const;

function xmlOf(changes: Partial<typeof goodObservation> = {}): string {
  const observation = { ...goodObservation, ...changes };
  return junitXml({
    name: "debian-13-nocloud-amd64 bios",
    timestamp: "2026-11-21T03:12:00.000Z",
    seconds: observation.durationSeconds,
    assertions: judge(observation, expectation),
    consoleTail: observation.consoleTail,
  });
}

test("a passed check has one test case an assertion, timed", () => {
  const xml = xmlOf();
  expect(xml).toContain(
    '<testsuite name="debian-13-nocloud-amd64 bios" timestamp="2026-11-21T03:12:00.000Z" time="43.500" tests="10" failures="0" errors="0" skipped="1">',
  );
  expect(xml.match(/<testcase /g)).toHaveLength(10);
  expect(xml).toContain(
    '<testcase classname="debian-13-nocloud-amd64 bios" name="the kernel starts" time="9.000"/>',
  );
  expect(xml).toContain(
    '<skipped message="the definition does not ask for it"/>',
  );
  expect(xml).not.toContain("<failure");
});

test("a failed one says why, with the console's last lines", () => {
  const xml = xmlOf({
    report: { kind: "absent" },
    ending: { kind: "time-limit", seconds: 20 },
    consoleTail: ['<6>[ 1.0] a "quoted" & odd line'],
  });
  expect(xml).toContain('failures="1"');
  expect(xml).toContain(
    '<failure message="the guest was not done within 20 s">',
  );
  expect(xml).toContain(
    "&lt;6&gt;[ 1.0] a &quot;quoted&quot; &amp; odd line</failure>",
  );
});

test("what XML has no place for is replaced", () => {
  expect(escapeXml("a\x00b\x1b[0mc\ud800d\ufffe")).toBe(
    "a\ufffdb\ufffd[0mc\ufffdd\ufffd",
  );
  expect(escapeXml("tab\tand 😀 stay\n")).toBe("tab\tand 😀 stay\n");
});
