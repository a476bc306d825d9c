import { describe, expect, test } from "vitest";
import {
  type Expectation,
  isPass,
  judge,
} from "../../../infra/image/bootCheck/judge.ts";
import type {
  Ending,
  Observation,
} from "../../../infra/image/bootCheck/observation.ts";
import type { BootReport } from "../../../infra/image/bootCheck/report.ts";
import { goodObservation, goodReport } from "./fixtures.ts";

const expectation: Expectation = {
  firmware: "bios",
  bootCheck: { rootGrows: true, diskSizeGiB: 6 },
};

function reporting(changes: Partial<BootReport>): Observation {
  const report = { ...goodReport, ...changes };
  return { ...goodObservation, report: { kind: "complete", report } };
}

/** What is not proved: names with problems. */
function problems(observation: Observation, expected = expectation) {
  const assertions = judge(observation, expected);
  const failed = assertions.flatMap(({ name, verdict }) =>
    verdict.kind === "failed" ? [`${name}: ${verdict.problem}`] : [],
  );
  expect(isPass(observation, assertions)).toBe(failed.length === 0);
  return failed;
}

function skipped(observation: Observation, expected = expectation) {
  return judge(observation, expected)
    .filter(({ verdict }) => verdict.kind === "skipped")
    .map(({ name }) => name);
}

test("a healthy boot proves everything", () => {
  expect(problems(goodObservation)).toEqual([]);
  expect(skipped(goodObservation)).toEqual([]);
});

describe("a report", () => {
  test.each<[Partial<BootReport>, string]>([
    [
      { systemState: "degraded" },
      'systemd finishes starting: systemctl is-system-running says "degraded"',
    ],
    [
      { failedUnits: ["ssh.service"], failures: "× ssh.service" },
      "no unit fails: ssh.service failed:\n× ssh.service",
    ],
    [
      { rootSizeBytes: 3 * 1024 ** 3 },
      "the root file system grows to the disk's size: the root file system has 3.00 GiB on a disk of 6 GiB",
    ],
    [
      { interface: "", address: "", gateway: "" },
      "the network comes up by DHCP: there is no default route",
    ],
    [
      { interface: "lo" },
      "the network comes up by DHCP: the default route is lo's",
    ],
    [
      { address: "169.254.3.4/16" },
      "the network comes up by DHCP: enp0s2 has 169.254.3.4/16 instead of the lease, 192.0.2.77/24",
    ],
    [
      { gateway: "10.0.2.2" },
      "the network comes up by DHCP: the default route goes to 10.0.2.2 instead of 192.0.2.2",
    ],
    [
      { machineId: "uninitialized" },
      'the machine has an id of its own: /etc/machine-id is "uninitialized"',
    ],
    [
      { machineId: "0".repeat(32) },
      `the machine has an id of its own: /etc/machine-id is "${"0".repeat(32)}"`,
    ],
    [{ sshHostKeys: 0 }, "sshd has host keys: there is none in /etc/ssh"],
    [
      { firmware: "uefi" },
      "the firmware is BIOS: the system found itself on UEFI without Secure Boot",
    ],
  ])("of %j fails", (changes, problem) => {
    expect(problems(reporting(changes))).toEqual([problem]);
  });

  test("of UEFI without Secure Boot fails where Secure Boot was asked for", () => {
    const expected = { ...expectation, firmware: "uefi-secure-boot" } as const;
    expect(problems(reporting({ firmware: "uefi" }), expected)).toEqual([
      "the firmware is UEFI with Secure Boot: the system found itself on UEFI without Secure Boot",
    ]);
    const secure = reporting({ firmware: "uefi", secureBoot: true });
    expect(problems(secure, expected)).toEqual([]);
  });

  test("of UEFI is right for U-Boot, and of Open Firmware for POWER", () => {
    const uBoot = { ...expectation, firmware: "u-boot" } as const;
    const power = { ...expectation, firmware: "open-firmware" } as const;
    expect(problems(reporting({ firmware: "uefi" }), uBoot)).toEqual([]);
    expect(problems(reporting({ firmware: "open-firmware" }), power)).toEqual(
      [],
    );
    expect(problems(reporting({ firmware: "bios" }), power)).toEqual([
      "the firmware is Open Firmware: the system found itself on BIOS",
    ]);
  });

  test("of an image without sshd needs no host keys", () => {
    const observation = reporting({ hasSshd: false, sshHostKeys: 0 });
    expect(problems(observation)).toEqual([]);
    expect(skipped(observation)).toEqual(["sshd has host keys"]);
  });

  test("of a root file system that need not grow is skipped", () => {
    const bootCheck = { ...expectation.bootCheck, rootGrows: false };
    const observation = reporting({ rootSizeBytes: 3 * 1024 ** 3 });
    expect(problems(observation, { ...expectation, bootCheck })).toEqual([]);
  });
});

describe("without a whole report", () => {
  test.each<[Ending, string]>([
    [{ kind: "off" }, "the guest switched itself off before it had reported"],
    [{ kind: "reset" }, "the guest reset the machine instead of going on"],
    [{ kind: "time-limit", seconds: 20 }, "the guest was not done within 20 s"],
    [
      { kind: "qemu", reason: "exit code 1" },
      "qemu ended by itself: exit code 1",
    ],
  ])("the end %j is a failure", (ending, problem) => {
    const observation: Observation = {
      ...goodObservation,
      ending,
      report: { kind: "absent" },
    };
    expect(problems(observation)).toEqual([
      `systemd finishes starting: ${problem}`,
    ]);
    expect(skipped(observation)).toHaveLength(7);
  });

  test("what came of it is said", () => {
    const observation: Observation = {
      ...goodObservation,
      ending: { kind: "reset" },
      report: { kind: "unfinished", part: "its beginning" },
    };
    expect(problems(observation)).toEqual([
      "systemd finishes starting: the guest reset the machine instead of going on; of its report only its beginning came",
    ]);
  });

  test("a kernel that never started is what failed", () => {
    const observation: Observation = {
      ...goodObservation,
      ending: { kind: "time-limit", seconds: 20 },
      milestoneSeconds: { firmware: 0.5 },
      report: { kind: "absent" },
    };
    expect(problems(observation)).toEqual([
      "the kernel starts: the guest was not done within 20 s",
    ]);
  });
});

describe("after a good report", () => {
  test.each<[Partial<Observation>, string]>([
    [
      { ending: { kind: "reset" } },
      "the guest reset the machine instead of going on",
    ],
    [
      { ending: { kind: "time-limit", seconds: 20 } },
      "the guest was not done within 20 s",
    ],
    [
      { poweredDown: false },
      "the kernel did not say that it switches the machine off",
    ],
    [{ exitCode: null }, "qemu's exit code is null"],
  ])("%j is a failure to switch off", (changes, problem) => {
    expect(problems({ ...goodObservation, ...changes })).toEqual([
      `the system switches itself off: ${problem}`,
    ]);
  });

  test("a display that cannot be recorded is a failure", () => {
    expect(problems({ ...goodObservation, hasScreenshot: false })).toEqual([
      "the display can be recorded: qemu did not deliver a picture",
    ]);
  });
});
