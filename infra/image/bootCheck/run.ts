/** Boots one machine and watches it to its end. */

import { createWriteStream, type WriteStream } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { Console } from "./console.ts";
import { ConsoleLogin } from "./login.ts";
import type { Nonce } from "./nonce.ts";
import type { Ending, Milestone, Observation } from "./observation.ts";
import { type Qemu, type QemuEnd, startQemu } from "./qemu.ts";
import type { Machine } from "./qemuArguments.ts";
import { Qmp, type QmpEvent } from "./qmp.ts";
import { parseReport, type ReportState, reportLimitBytes } from "./report.ts";
import type { OutputFiles } from "./request.ts";

/** One machine to boot. */
export interface Run {
  readonly machine: Machine;
  readonly nonce: Nonce;
  /** What root has to type on the console; nothing where the script starts by itself. */
  readonly consoleCommand: string | undefined;
  readonly timeoutSeconds: number;
  /** For the run's own files. */
  readonly directory: string;
  readonly output: OutputFiles;
  readonly onProgress: (message: string) => void;
}

/** How long after a sign of failure the machine goes on, so that the console says why. In milliseconds. */
const signGrace = 2_000;

/** How long qemu may take to answer, or to end when asked to. In milliseconds. */
const qemuPatience = 10_000;

/** How often a console that has fallen silent is looked at. In milliseconds. */
const loginInterval = 1_000;

/** How many of the last lines are kept for messages. */
const tailLines = 20;

/** SeaBIOS says a few thousand bytes; a guest may go on writing to its port. */
const firmwareLimitBytes = 1024 * 1024;

/** Any line lets the guest switch itself off. */
const goAhead = "off\n";

/** What reaching each milestone is called, for people. */
const progressTexts: Readonly<Record<Milestone, string>> = {
  firmware: "first output",
  kernel: "kernel started",
  systemd: "systemd started",
  report: "system has reported",
  off: "switched off",
};

/**
 * Boots a machine, and returns what was seen of it, whether it went well or not.
 * @throws the signal's reason when it is aborted, and errors of writing the console's file.
 */
export async function runMachine(
  run: Run,
  signal: AbortSignal,
): Promise<Observation> {
  signal.throwIfAborted();
  const watch = new Watch(run);
  try {
    const ending = await watch.ending(signal);
    await watch.stop();
    return await watch.observation(ending);
  } finally {
    await watch.close();
  }
}

/** A running machine and all that has been seen of it. */
class Watch {
  readonly #run: Run;
  readonly #qemu: Qemu;
  readonly #qmp: Qmp;
  readonly #log: WriteStream;
  readonly #console = new Console();
  readonly #firmware = new Console();
  readonly #login: ConsoleLogin | undefined;
  readonly #ended = Promise.withResolvers<Ending>();
  readonly #milestoneSeconds: Partial<Record<Milestone, number>> = {};
  readonly #startedAt = performance.now();
  #firmwareText = "";
  #reportText = "";
  #report: ReportState = { kind: "absent" };
  /** Where the first sign of failure stood. */
  #failed: Console | undefined;
  #screenshot: Promise<boolean> | undefined;

  constructor(run: Run) {
    this.#run = run;
    this.#log = createWriteStream(run.output.console);
    this.#log.on("error", (error) => this.#ended.reject(error));
    if (run.consoleCommand !== undefined) {
      this.#login = new ConsoleLogin(run.consoleCommand);
    }
    this.#qemu = startQemu(run.machine);
    this.#qmp = new Qmp(this.#socket("control"), (event) =>
      this.#onEvent(event),
    );
    this.#listen();
    this.#qemu.ended.then((end) => this.#end(diedOf(end)));
  }

  /** Waits until the machine has come to an end, of whichever kind. */
  async ending(signal: AbortSignal): Promise<Ending> {
    const { timeoutSeconds } = this.#run;
    const timer = setTimeout(
      () => this.#end({ kind: "time-limit", seconds: timeoutSeconds }),
      timeoutSeconds * 1000,
    );
    const ticker = setInterval(() => this.#stepLogin(), loginInterval);
    const abort = () => this.#ended.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await this.#ended.promise;
    } finally {
      clearTimeout(timer);
      clearInterval(ticker);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Records the display, if that has not been done, and ends qemu in order; else by force. */
  async stop(): Promise<void> {
    await this.#takeScreenshot();
    this.#qmp.execute("quit").catch(() => {});
    await Promise.race([this.#qemu.ended, delay(qemuPatience)]);
    this.#qemu.kill();
    await this.#qemu.ended;
  }

  /** Leaves nothing running or open, whatever happened before. */
  async close(): Promise<void> {
    this.#qemu.kill();
    await this.#qemu.ended;
    this.#log.destroy();
  }

  /** Everything, once qemu has ended and nothing more can come. */
  async observation(ending: Ending): Promise<Observation> {
    const { exitCode } = await this.#qemu.ended;
    const durationSeconds = this.#elapsed();
    await this.#closeLog();
    const { poweredDown } = this.#console;
    const isOff = isSilentOff(ending, exitCode, poweredDown);
    if (isOff) this.#reach("off");
    return {
      // What led to an end says more than the end.
      ending: this.#signEnding() ?? (isOff ? { kind: "off" } : ending),
      acceleration: this.#run.machine.acceleration,
      milestoneSeconds: this.#milestoneSeconds,
      durationSeconds,
      report: parseReport(this.#reportText, this.#run.nonce),
      poweredDown,
      exitCode,
      consoleTail: this.#console.tail(tailLines),
      firmwareTail: this.#firmware.tail(tailLines),
      hasScreenshot: await this.#takeScreenshot(),
    };
  }

  #listen(): void {
    const take = {
      console: (chunk: Buffer) => this.#onConsole(chunk),
      report: (chunk: Buffer) => this.#onReport(chunk),
      firmware: (chunk: Buffer) => this.#onFirmware(chunk),
    };
    for (const name of ["console", "report", "firmware"] as const) {
      const socket = this.#socket(name);
      socket.on("data", take[name]);
      // qemu's end is noticed elsewhere.
      socket.on("error", () => {});
    }
  }

  #onConsole(chunk: Buffer): void {
    this.#log.write(chunk);
    const news = this.#console.feed(chunk);
    for (const milestone of news.milestones) this.#reach(milestone);
    if (news.failed) this.#fail(this.#console);
    this.#stepLogin();
  }

  #onFirmware(chunk: Buffer): void {
    if (this.#firmwareText.length > firmwareLimitBytes) return;
    this.#firmwareText += chunk.toString("latin1");
    if (this.#firmware.feed(chunk).failed) this.#fail(this.#firmware);
  }

  #onReport(chunk: Buffer): void {
    if (this.#reportText.length > reportLimitBytes) return;
    this.#reportText += chunk.toString("latin1");
    const before = this.#report.kind;
    this.#report = parseReport(this.#reportText, this.#run.nonce);
    if (this.#report.kind === "invalid") {
      this.#end({ kind: "report", reason: this.#report.reason });
    } else if (this.#report.kind === "complete" && before !== "complete") {
      this.#reach("report");
      void this.#letGo();
    }
  }

  /** The guest waits for an answer to its report: the display is worth most just before it goes off. */
  async #letGo(): Promise<void> {
    await this.#takeScreenshot();
    this.#socket("report").write(goAhead);
  }

  #onEvent({ name, data }: QmpEvent): void {
    if (name !== "SHUTDOWN") return;
    if (data.reason === "guest-shutdown") {
      this.#reach("off");
      this.#end({ kind: "off" });
    } else if (data.guest === true) {
      this.#end({ kind: "reset" });
    }
  }

  #stepLogin(): void {
    if (this.#login === undefined || this.#report.kind !== "absent") return;
    const step = this.#login.step(this.#console.currentLine, this.#elapsed());
    if (step.kind === "type") this.#socket("console").write(step.text);
    if (step.kind === "give-up") {
      this.#end({ kind: "login", reason: step.reason });
    }
  }

  #fail(console: Console): void {
    this.#failed ??= console;
    setTimeout(() => {
      const ending = this.#signEnding();
      if (ending !== undefined) this.#end(ending);
    }, signGrace).unref();
  }

  #signEnding(): Ending | undefined {
    const seen = this.#failed?.sign;
    return seen && { kind: "sign", seen };
  }

  /** Only the first end counts. */
  #end(ending: Ending): void {
    this.#ended.resolve(ending);
  }

  #reach(milestone: Milestone): void {
    const seconds = Math.round(this.#elapsed() * 10) / 10;
    this.#milestoneSeconds[milestone] = seconds;
    this.#run.onProgress(`${progressTexts[milestone]} after ${seconds} s`);
  }

  #takeScreenshot(): Promise<boolean> {
    this.#screenshot ??= this.#screendump().then(
      () => true,
      () => false,
    );
    return this.#screenshot;
  }

  async #screendump(): Promise<void> {
    const filename = join(this.#run.directory, "screen.png");
    const dump = this.#qmp.execute("screendump", { filename, format: "png" });
    const patience = delay(qemuPatience).then(() => {
      throw new Error("qemu does not answer");
    });
    await Promise.race([dump, patience]);
    await copyFile(filename, this.#run.output.screenshot);
  }

  async #closeLog(): Promise<void> {
    if (this.#firmwareText !== "") {
      this.#log.write(`\n--- SeaBIOS's debug port ---\n${this.#firmwareText}`);
    }
    this.#log.end();
    await finished(this.#log);
  }

  #socket(name: Parameters<Qemu["socket"]>[0]) {
    return this.#qemu.socket(name);
  }

  #elapsed(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }
}

/**
 * Whether the guest switched the machine off without an event: the machine `virt` for riscv64 exits with 0 at once
 * in qemu 7.2 (hw/misc/sifive_test.c). What the kernel said last tells that from other ends. Pure.
 */
export function isSilentOff(
  ending: Ending,
  exitCode: number | null,
  poweredDown: boolean,
): boolean {
  return ending.kind === "qemu" && exitCode === 0 && poweredDown;
}

function diedOf({ exitCode, errorText }: QemuEnd): Ending {
  const reason = errorText.trim() || `exit code ${exitCode ?? "none"}`;
  return { kind: "qemu", reason };
}

/** Waits, without keeping the program from ending. */
function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}
