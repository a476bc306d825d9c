/** Holds what was seen of a boot against what the definition asks for. Pure. */

import type { Definition, Firmware } from "../../definitions/definition.ts";
import { guestNetwork } from "./network.ts";
import type { Ending, Observation } from "./observation.ts";
import type { BootReport } from "./report.ts";

/** One thing an image has to prove. */
export interface Assertion {
  /** A sentence about the image: a JUnit test case's name. */
  readonly name: string;
  readonly verdict: Verdict;
  /** When it was known, in seconds from qemu's start. */
  readonly seconds: number;
}

export type Verdict =
  | { readonly kind: "passed" }
  | { readonly kind: "failed"; readonly problem: string }
  | { readonly kind: "skipped"; readonly reason: string };

/** What a check asks of an image. */
export interface Expectation {
  readonly firmware: Firmware;
  readonly bootCheck: Pick<
    Definition["bootCheck"],
    "rootGrows" | "diskSizeGiB"
  >;
}

/**
 * Smallest part of the disk that counts as "grown". A root file system of Debian's images leaves out
 * 128 MiB of boot partitions and about 4 % for ext4's own structures (measured: 95 % of 6 GiB).
 */
const grownShare = 0.9;

const bytesPerGiB = 1024 ** 3;

const passed: Verdict = { kind: "passed" };

/** Everything an image has to prove, in order of the boot. */
export function judge(
  observation: Observation,
  expectation: Expectation,
): readonly Assertion[] {
  const { milestoneSeconds } = observation;
  const end = observation.durationSeconds;
  const atReport = milestoneSeconds.report ?? end;
  const ofReport = reportAssertions(expectation).map(({ name, decide }) => ({
    name,
    verdict: ifReported(observation, decide),
    seconds: atReport,
  }));
  return [
    {
      name: "the kernel starts",
      verdict: kernelStarts(observation),
      seconds: milestoneSeconds.kernel ?? end,
    },
    {
      name: "systemd finishes starting",
      verdict: systemdFinishes(observation),
      seconds: atReport,
    },
    ...ofReport,
    {
      name: "the system switches itself off",
      verdict: switchesOff(observation),
      seconds: milestoneSeconds.off ?? end,
    },
    {
      name: "the display can be recorded",
      verdict: hasDisplay(observation),
      seconds: end,
    },
  ];
}

/** Whether an image proved everything that was asked of it. */
export function isPass(
  observation: Observation,
  assertions: readonly Assertion[],
): boolean {
  return (
    observation.report.kind === "complete" &&
    observation.ending.kind === "off" &&
    assertions.every(({ verdict }) => verdict.kind !== "failed")
  );
}

/** Says how a run ended, as the end of "the boot check failed: …". */
export function describeEnding(ending: Ending): string {
  switch (ending.kind) {
    case "off":
      return "the guest switched itself off before it had reported";
    case "reset":
      return "the guest reset the machine instead of going on";
    case "sign":
      return `the console shows ${ending.seen.sign.name}: ${ending.seen.line.trim()}`;
    case "time-limit":
      return `the guest was not done within ${ending.seconds} s`;
    case "login":
      return ending.reason;
    case "report":
      return `its report is not valid: ${ending.reason}`;
    case "qemu":
      return `qemu ended by itself: ${ending.reason}`;
  }
}

function kernelStarts(observation: Observation): Verdict {
  const { kernel, systemd } = observation.milestoneSeconds;
  const seen = kernel !== undefined || systemd !== undefined;
  // With `quiet` on its command line, a kernel says nothing; the report then proves it.
  if (seen || observation.report.kind === "complete") return passed;
  return failed(describeEnding(observation.ending));
}

function systemdFinishes(observation: Observation): Verdict {
  const { report, ending } = observation;
  if (report.kind === "complete") {
    const { systemState } = report.report;
    if (systemState === "running") return passed;
    return failed(`systemctl is-system-running says "${systemState}"`);
  }
  if (kernelStarts(observation).kind === "failed") {
    return { kind: "skipped", reason: "the kernel did not start" };
  }
  if (report.kind === "invalid") {
    return failed(`its report is not valid: ${report.reason}`);
  }
  const cut =
    report.kind === "unfinished"
      ? `; of its report only ${report.part} came`
      : "";
  return failed(describeEnding(ending) + cut);
}

function switchesOff(observation: Observation): Verdict {
  const { report, ending, exitCode, poweredDown } = observation;
  if (report.kind !== "complete") return notReported;
  if (ending.kind !== "off") return failed(describeEnding(ending));
  if (!poweredDown) {
    return failed("the kernel did not say that it switches the machine off");
  }
  if (exitCode !== 0) return failed(`qemu's exit code is ${exitCode}`);
  return passed;
}

function hasDisplay({ report, hasScreenshot }: Observation): Verdict {
  if (hasScreenshot) return passed;
  // Where the boot failed, qemu may be gone as well: that is said elsewhere.
  if (report.kind !== "complete") return notReported;
  return failed("qemu did not deliver a picture");
}

const notReported: Verdict = {
  kind: "skipped",
  reason: "the system did not report",
};

function ifReported(
  { report }: Observation,
  decide: (report: BootReport) => Verdict,
): Verdict {
  return report.kind === "complete" ? decide(report.report) : notReported;
}

interface ReportAssertion {
  readonly name: string;
  readonly decide: (report: BootReport) => Verdict;
}

function reportAssertions(
  expectation: Expectation,
): readonly ReportAssertion[] {
  const { firmware, bootCheck } = expectation;
  return [
    { name: "no unit fails", decide: noUnitFails },
    {
      name: "the root file system grows to the disk's size",
      decide: (report) => rootGrows(report, bootCheck),
    },
    { name: "the network comes up by DHCP", decide: networkIsUp },
    { name: "the machine has an id of its own", decide: hasMachineId },
    { name: "sshd has host keys", decide: hasHostKeys },
    {
      name: `the firmware is ${firmwareNames[firmware]}`,
      decide: (report) => hasFirmware(report, firmware),
    },
  ];
}

const firmwareNames = {
  bios: "BIOS",
  uefi: "UEFI without Secure Boot",
  "uefi-secure-boot": "UEFI with Secure Boot",
  "u-boot": "U-Boot's UEFI",
  "open-firmware": "Open Firmware",
} as const satisfies Record<Firmware, string>;

function noUnitFails({ failedUnits, failures }: BootReport): Verdict {
  if (failedUnits.length === 0) return passed;
  return failed(`${failedUnits.join(", ")} failed:\n${failures}`);
}

function rootGrows(
  { rootSizeBytes }: BootReport,
  { rootGrows, diskSizeGiB }: Expectation["bootCheck"],
): Verdict {
  if (!rootGrows) {
    return { kind: "skipped", reason: "the definition does not ask for it" };
  }
  const wanted = grownShare * diskSizeGiB * bytesPerGiB;
  if (rootSizeBytes >= wanted) return passed;
  const size = (rootSizeBytes / bytesPerGiB).toFixed(2);
  return failed(
    `the root file system has ${size} GiB on a disk of ${diskSizeGiB} GiB`,
  );
}

function networkIsUp(report: BootReport): Verdict {
  const { leaseWithPrefix, gateway } = guestNetwork;
  if (report.interface === "") return failed("there is no default route");
  if (report.interface === "lo") return failed("the default route is lo's");
  if (report.address !== leaseWithPrefix) {
    const address = report.address || "no address";
    return failed(
      `${report.interface} has ${address} instead of the lease, ${leaseWithPrefix}`,
    );
  }
  if (report.gateway === gateway) return passed;
  return failed(
    `the default route goes to ${report.gateway || "nowhere"} instead of ${gateway}`,
  );
}

function hasMachineId({ machineId }: BootReport): Verdict {
  if (/^(?!0{32})[0-9a-f]{32}$/.test(machineId)) return passed;
  return failed(`/etc/machine-id is ${JSON.stringify(machineId)}`);
}

function hasHostKeys({ hasSshd, sshHostKeys }: BootReport): Verdict {
  if (!hasSshd) return { kind: "skipped", reason: "the image has no sshd" };
  return sshHostKeys > 0 ? passed : failed("there is none in /etc/ssh");
}

function hasFirmware(report: BootReport, firmware: Firmware): Verdict {
  const found =
    report.firmware === "uefi" && report.secureBoot
      ? "uefi-secure-boot"
      : report.firmware;
  // From inside, U-Boot's UEFI is one like any other.
  if (found === (firmware === "u-boot" ? "uefi" : firmware)) return passed;
  return failed(`the system found itself on ${firmwareNames[found]}`);
}

function failed(problem: string): Verdict {
  return { kind: "failed", problem };
}
