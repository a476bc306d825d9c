import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Nonce } from "../../../infra/image/bootCheck/nonce.ts";
import { parseReport } from "../../../infra/image/bootCheck/report.ts";
import { goodReport, nonce } from "./fixtures.ts";

const fields = {
  state: "running",
  kernel: "6.12.117+deb13-cloud-amd64",
  "units-active": "107",
  "units-failed": "",
  "failures-base64": "",
  "root-size-bytes": "6031495168",
  interface: "enp0s2",
  address: "192.0.2.77/24",
  gateway: "192.0.2.2",
  "machine-id": "f2ca1bb6c7e907d06dafe4687e579fce",
  sshd: "yes",
  "ssh-host-keys": "3",
  firmware: "bios",
  "secure-boot": "absent",
};

const otherNonce = "f".repeat(32) as Nonce;

function bodyOf(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}

/** A report as the guest script sends it. */
function framed(body: string, by: Nonce = nonce): string {
  const bytes = Buffer.from(body);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const lines = bytes.toString("base64").match(/.{1,76}/g) ?? [];
  return [
    `\nBOOT-CHECK-STARTED ${by}`,
    `BOOT-CHECK-BEGIN ${by} ${bytes.length} ${sha256}`,
    ...lines,
    `BOOT-CHECK-END ${by}\n`,
  ].join("\n");
}

const whole = framed(bodyOf(fields));

describe("a report", () => {
  test("is read when it is whole", () => {
    expect(parseReport(whole, nonce)).toEqual({
      kind: "complete",
      report: goodReport,
    });
  });

  test("may follow what the firmware wrote to the port", () => {
    const text = `\x1b[2J\x1b[01;01HBdsDxe: loading Boot0001${whole}`;
    expect(parseReport(text, nonce).kind).toBe("complete");
  });

  test("is not complete when it is cut short at any byte", () => {
    for (let length = 0; length < whole.length; length++) {
      const state = parseReport(whole.slice(0, length), nonce);
      expect(["absent", "unfinished"], `${length} bytes`).toContain(state.kind);
    }
  });

  test("is never believed with any one byte altered", () => {
    for (let at = 1; at < whole.length; at++) {
      const altered = `${whole.slice(0, at)}~${whole.slice(at + 1)}`;
      expect(parseReport(altered, nonce).kind, `byte ${at}`).not.toBe(
        "complete",
      );
    }
  });

  test("is never believed with any one byte lost", () => {
    for (let at = 1; at < whole.length; at++) {
      const shorter = whole.slice(0, at) + whole.slice(at + 1);
      const { kind } = parseReport(shorter, nonce);
      // A line feed inside the body carries nothing.
      const harmless = whole[at] === "\n" && kind === "complete";
      if (!harmless) expect(kind, `byte ${at}`).not.toBe("complete");
    }
  });

  test.each([
    ["twice", whole + whole, "it came more than once"],
    [
      "with another run's nonce",
      framed(bodyOf(fields), otherNonce),
      "it does not carry this run's nonce",
    ],
    [
      "beside one with another run's nonce",
      whole + framed(bodyOf(fields), otherNonce),
      "it does not carry this run's nonce",
    ],
    [
      "with a marker behind other text",
      `x${whole.trimStart()}`,
      "one of its marker lines is damaged",
    ],
    [
      "without a beginning",
      `\nBOOT-CHECK-STARTED ${nonce}\nBOOT-CHECK-END ${nonce}\n`,
      "its parts are missing or out of order",
    ],
    ["that does not end", "x".repeat(1024 * 1024 + 1), "it does not end"],
    [
      "of lines that are no fields",
      framed("all is well\n"),
      'its line "all is well" is unknown',
    ],
    [
      "with a field twice",
      framed(`${bodyOf(fields)}state=running\n`),
      'its line "state=running" is unknown',
    ],
  ])("is refused %s", (_, text, reason) => {
    expect(parseReport(text, nonce)).toEqual({ kind: "invalid", reason });
  });

  test.each([
    ["a missing field", { ...fields, gateway: undefined }],
    ["an unknown field", { ...fields, mood: "fine" }],
    ["an unknown state", { ...fields, state: "fine" }],
    ["a number that is none", { ...fields, "units-active": "107 or so" }],
    ["an address that is none", { ...fields, address: "192.0.2.777/24" }],
    ["an unknown firmware", { ...fields, firmware: "coreboot" }],
    ["an unknown state of Secure Boot", { ...fields, "secure-boot": "2" }],
  ])("is refused with %s", (_, values) => {
    const present = Object.entries(values).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    const text = framed(bodyOf(Object.fromEntries(present)));
    expect(parseReport(text, nonce).kind).toBe("invalid");
  });

  test("names failed units and says what became of them", () => {
    const failures = Buffer.from(
      "× ssh.service - OpenBSD Secure Shell",
    ).toString("base64");
    const text = framed(
      bodyOf({
        ...fields,
        state: "degraded",
        "units-failed": "ssh.service a@b.service",
        "failures-base64": failures,
      }),
    );
    expect(parseReport(text, nonce)).toMatchObject({
      report: {
        systemState: "degraded",
        failedUnits: ["ssh.service", "a@b.service"],
        failures: "× ssh.service - OpenBSD Secure Shell",
      },
    });
  });
});
