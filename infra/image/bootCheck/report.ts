/**
 * Reads what the guest script (guestScript.sh) says on its port. Pure.
 *
 * Nothing but one whole report with this run's nonce, size and digest counts: a report that is cut
 * short, sent twice, altered on the way or made up can never look like a pass.
 */

import { createHash } from "node:crypto";
import { z } from "zod";
import type { Nonce } from "./nonce.ts";

/** What a system says of itself. */
export type BootReport = z.infer<typeof reportSchema>;

/** How much of a report has come. */
export type ReportState =
  /** Nothing from the script yet. */
  | { readonly kind: "absent" }
  /** The script runs, or has sent a part. */
  | { readonly kind: "unfinished"; readonly part: string }
  | { readonly kind: "invalid"; readonly reason: string }
  | { readonly kind: "complete"; readonly report: BootReport };

/** More than this on the port is no report, in bytes: firmware writes some ten thousand there. */
export const reportLimitBytes = 1024 * 1024;

const marker = /BOOT-CHECK-(STARTED|BEGIN|END)/;
const started = /^BOOT-CHECK-STARTED ([0-9a-f]{32})$/;
const begin =
  /^BOOT-CHECK-BEGIN ([0-9a-f]{32}) ([1-9][0-9]{0,5}) ([0-9a-f]{64})$/;
const end = /^BOOT-CHECK-END ([0-9a-f]{32})$/;

const count = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,14})$/)
  .transform(Number);

const reportSchema = z
  .strictObject({
    /** `systemctl is-system-running --wait` */
    state: z.enum([
      "initializing",
      "starting",
      "running",
      "degraded",
      "maintenance",
      "stopping",
      "offline",
      "unknown",
    ]),
    kernel: z.string().regex(/^[0-9][\w.+~-]*$/),
    "units-active": count,
    "units-failed": z
      .string()
      .transform((names) => names.split(" ").filter((name) => name !== "")),
    /** `systemctl status` of the failed units. */
    "failures-base64": z
      .base64()
      .transform((text) => Buffer.from(text, "base64").toString("utf8")),
    "root-size-bytes": count,
    /** Of the default route; empty where there is none. */
    interface: z.string().regex(/^[^\s/]{0,15}$/),
    /** With its prefix length; empty where there is none. */
    address: z.union([z.literal(""), z.cidrv4()]),
    gateway: z.union([z.literal(""), z.ipv4()]),
    "machine-id": z.string(),
    sshd: z.enum(["yes", "no"]),
    "ssh-host-keys": count,
    firmware: z.enum(["bios", "uefi", "open-firmware"]),
    /** The EFI variable's value; absent without UEFI, or with one that cannot do it. */
    "secure-boot": z.enum(["0", "1", "absent"]),
  })
  .transform((fields) => ({
    systemState: fields.state,
    kernel: fields.kernel,
    activeUnits: fields["units-active"],
    failedUnits: fields["units-failed"],
    failures: fields["failures-base64"],
    rootSizeBytes: fields["root-size-bytes"],
    interface: fields.interface,
    address: fields.address,
    gateway: fields.gateway,
    machineId: fields["machine-id"],
    hasSshd: fields.sshd === "yes",
    sshHostKeys: fields["ssh-host-keys"],
    firmware: fields.firmware,
    secureBoot: fields["secure-boot"] === "1",
  }));

/** A marker line, or any other. */
type Line =
  | { readonly kind: "started" | "end"; readonly nonce: string }
  | {
      readonly kind: "begin";
      readonly nonce: string;
      readonly size: number;
      readonly sha256: string;
    }
  | { readonly kind: "damaged" | "other"; readonly text: string };

/** A report that cannot be believed. */
class Unbelievable extends Error {}

/**
 * Judges everything the port has said so far.
 *
 * @param text from the first byte on, one character a byte
 * @param nonce this run's
 */
export function parseReport(text: string, nonce: Nonce): ReportState {
  if (text.length > reportLimitBytes) {
    return { kind: "invalid", reason: "it does not end" };
  }
  // What follows the last line feed is not a line yet.
  const lines = text.split("\n").slice(0, -1).map(classify);
  try {
    return assemble(lines, nonce);
  } catch (error) {
    if (!(error instanceof Unbelievable)) throw error;
    return { kind: "invalid", reason: error.message };
  }
}

function classify(text: string): Line {
  if (!marker.test(text)) return { kind: "other", text };
  const [, startedNonce] = started.exec(text) ?? [];
  if (startedNonce !== undefined) {
    return { kind: "started", nonce: startedNonce };
  }
  const [, endNonce] = end.exec(text) ?? [];
  if (endNonce !== undefined) return { kind: "end", nonce: endNonce };
  const [, nonce, size, sha256] = begin.exec(text) ?? [];
  if (nonce === undefined || size === undefined || sha256 === undefined) {
    return { kind: "damaged", text };
  }
  return { kind: "begin", nonce, size: Number(size), sha256 };
}

function assemble(lines: readonly Line[], nonce: Nonce): ReportState {
  for (const line of lines) refuseForeign(line, nonce);
  const startedAt = onlyIndex(lines, "started");
  const beginAt = onlyIndex(lines, "begin");
  const endAt = onlyIndex(lines, "end");
  if (startedAt === -1 && beginAt === -1 && endAt === -1) {
    return { kind: "absent" };
  }
  const inOrder = startedAt !== -1 && (beginAt === -1 || startedAt < beginAt);
  if (!inOrder || (endAt !== -1 && (beginAt === -1 || endAt < beginAt))) {
    throw new Unbelievable("its parts are missing or out of order");
  }
  const head = lines[beginAt];
  if (head?.kind !== "begin") return { kind: "unfinished", part: "its start" };
  if (endAt === -1) return { kind: "unfinished", part: "its beginning" };
  const body = decodeBody(lines.slice(beginAt + 1, endAt), head);
  return { kind: "complete", report: readFields(body) };
}

function refuseForeign(line: Line, nonce: Nonce): void {
  if (line.kind === "damaged") {
    throw new Unbelievable("one of its marker lines is damaged");
  }
  if ("nonce" in line && line.nonce !== nonce) {
    throw new Unbelievable("it does not carry this run's nonce");
  }
}

/** Where the one line of that kind is; -1 where none is. */
function onlyIndex(lines: readonly Line[], kind: Line["kind"]): number {
  const index = lines.findIndex((line) => line.kind === kind);
  const last = lines.findLastIndex((line) => line.kind === kind);
  if (index !== last) throw new Unbelievable("it came more than once");
  return index;
}

function decodeBody(
  lines: readonly Line[],
  head: { readonly size: number; readonly sha256: string },
): string {
  const encoded = lines
    .map((line) => (line.kind === "other" ? line.text : ""))
    .join("");
  if (!z.base64().safeParse(encoded).success) {
    throw new Unbelievable("its body is not base64");
  }
  const body = Buffer.from(encoded, "base64");
  if (body.length !== head.size) {
    throw new Unbelievable(
      `its body has ${body.length} bytes instead of ${head.size}`,
    );
  }
  const sha256 = createHash("sha256").update(body).digest("hex");
  if (sha256 !== head.sha256) {
    throw new Unbelievable("its body does not have its sha256");
  }
  return body.toString("utf8");
}

function readFields(body: string): BootReport {
  const fields = new Map<string, string>();
  for (const line of body.trimEnd().split("\n")) {
    const [, key, value] = /^([a-z0-9-]+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined || fields.has(key)) {
      throw new Unbelievable(`its line ${JSON.stringify(line)} is unknown`);
    }
    fields.set(key, value);
  }
  const parsed = reportSchema.safeParse(Object.fromEntries(fields));
  if (!parsed.success) {
    throw new Unbelievable(z.prettifyError(parsed.error));
  }
  return parsed.data;
}
