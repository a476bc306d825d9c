/** Starts qemu so that it reaches nothing and outlives nobody. */

import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { machineTypes } from "./machineTypes.ts";
import { descriptors, type Machine, qemuArguments } from "./qemuArguments.ts";

/**
 * Runs a program in a network namespace that holds nothing, so that a guest gets a whole network by
 * DHCP, default route included, and still reaches nothing: with `restrict=on`, qemu's own means, its
 * DHCP names no router.
 */
export const isolation = ["unshare", "--user", "--map-current-user", "--net"];

/**
 * Has the kernel kill the program when this process dies, however it dies. Comes after the isolation:
 * entering a user namespace would undo it.
 */
const deathWithParent = ["setpriv", "--pdeathsig", "KILL"];

/** How much of what qemu says about itself is kept, in characters. */
const keptErrorText = 4000;

/** A qemu that was started. */
export interface Qemu {
  readonly pid: number | undefined;
  /** Serial ports and the like, by descriptor. */
  readonly socket: (name: keyof typeof descriptors) => Socket;
  /** Once it has ended and all it said has been read. Never fails. */
  readonly ended: Promise<QemuEnd>;
  readonly kill: () => void;
}

export interface QemuEnd {
  /** `null` when it was killed, or did not start. */
  readonly exitCode: number | null;
  /** What it said on standard error, or why it did not start. */
  readonly errorText: string;
}

/** Starts the machine's qemu with sockets on the descriptors its arguments name. */
export function startQemu(machine: Machine): Qemu {
  const [program = "", ...programArguments] = [
    ...isolation,
    ...deathWithParent,
    machineTypes[machine.architecture].program,
    ...qemuArguments(machine),
  ];
  const child = spawn(program, programArguments, {
    // A group of its own: Ctrl-C is for this program to hear, which then ends qemu in order.
    detached: true,
    stdio: ["ignore", "ignore", "pipe", "pipe", "pipe", "pipe", "pipe"],
  });
  return {
    pid: child.pid,
    socket: (name) => socketOf(child, descriptors[name]),
    ended: endOf(child),
    kill: () => child.kill("SIGKILL"),
  };
}

function socketOf(child: ChildProcess, descriptor: number): Socket {
  // Node's types end at descriptor 4.
  const streams: readonly unknown[] = child.stdio;
  const socket = streams[descriptor];
  if (!(socket instanceof Socket)) {
    throw new Error(`Descriptor ${descriptor} of qemu is no socket.`);
  }
  return socket;
}

function endOf(child: ChildProcess): Promise<QemuEnd> {
  const { promise, resolve } = Promise.withResolvers<QemuEnd>();
  let errorText = "";
  keepLast(child.stderr, (text) => {
    errorText = (errorText + text).slice(-keptErrorText);
  });
  child.on("error", (error) =>
    resolve({ exitCode: null, errorText: error.message }),
  );
  child.on("close", (exitCode) => resolve({ exitCode, errorText }));
  return promise;
}

function keepLast(stream: Readable | null, take: (text: string) => void) {
  stream?.setEncoding("utf8");
  stream?.on("data", take);
}
