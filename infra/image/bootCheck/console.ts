/**
 * Reads a serial console as it comes: lines out of chunks that split anywhere, escape sequences taken
 * out, milestones and signs of failure recognised as soon as they stand there. Pure but for its memory.
 */

import {
  consoleMilestones,
  powerDownPattern,
  type Sign,
  signs,
} from "./signs.ts";

/** A sign of failure that was seen, and where. */
export interface SignSeen {
  readonly sign: Sign;
  readonly line: string;
}

/** What a chunk brought to light that was not known before. */
export interface ConsoleNews {
  readonly milestones: readonly ConsoleMilestone[];
  /** Whether the first sign of failure of all has come; later ones are only its consequences. */
  readonly failed: boolean;
}

export type ConsoleMilestone =
  | "firmware"
  | (typeof consoleMilestones)[number]["name"];

/**
 * Longest line that is kept, in characters: firmware and boot menus move the cursor instead of ending
 * lines, and what they draw must not grow without bound. Later text pushes out the earlier.
 */
const longestLine = 2000;

/** How many lines are kept: some screens more than any message shows. */
const keptLines = 400;

/**
 * A complete escape sequence: CSI (colours, cursor), OSC (titles; ended by BEL or ST), character sets,
 * and two-character ones (ECMA-48).
 */
const escapeSequence =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences consist of them.
  /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\^-~])/g;

/** An escape sequence that may go on in the next chunk; the longest that is waited for is 64 characters. */
const unfinishedEscape =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences consist of them.
  /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,64}\x1b?|[ -/]*)$/;

/** Menus move the cursor where others end a line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences consist of them.
const cursorMove = /\x1b\[[0-9;]*[Hf]/g;

/** Frames and fill of menus, which say nothing: four and more of a character that is no letter or digit. */
const fill = /([^\p{L}\p{N}])\1{7,}/gu;

/** Longest line in a message, in characters; of a longer one, both ends are shown. */
const longestShown = 240;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be removed.
const otherControls = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g;

/** One serial console. */
export class Console {
  readonly #decoder = new TextDecoder();
  readonly #reached = new Set<ConsoleMilestone>();
  #lines: string[] = [];
  #current = "";
  #unfinished = "";
  #sign: SignSeen | undefined;
  /** A sign is often complete before its line is. */
  #signLineGrows = false;
  #poweredDown = false;

  /** Takes what came next from the port. */
  feed(chunk: Uint8Array): ConsoleNews {
    const text =
      this.#unfinished + this.#decoder.decode(chunk, { stream: true });
    const tail = unfinishedEscape.exec(text)?.[0] ?? "";
    this.#unfinished = tail;
    const plain = stripEscapes(text.slice(0, text.length - tail.length));
    const milestones: ConsoleMilestone[] = [];
    if (chunk.length > 0) this.#reach("firmware", milestones);
    const hadSign = this.#sign !== undefined;
    for (const [index, part] of plain.split(/\r\n|\n|\r/).entries()) {
      if (index > 0) this.#endLine();
      this.#current = (this.#current + part).slice(-longestLine);
      this.#examine(milestones);
    }
    return { milestones, failed: !hadSign && this.#sign !== undefined };
  }

  /** The line that has not ended yet: where prompts stand. */
  get currentLine(): string {
    return this.#current;
  }

  /** The first sign of failure, with as much of its line as has come. */
  get sign(): SignSeen | undefined {
    return this.#sign;
  }

  /** Whether the kernel said that it switches the machine off. */
  get poweredDown(): boolean {
    return this.#poweredDown;
  }

  /** The last lines that are not empty, the unfinished one included, without fill and overlength. */
  tail(count: number): readonly string[] {
    const all = [...this.#lines, this.#current].map(shown);
    return all.filter((line) => line.trim() !== "").slice(-count);
  }

  #endLine(): void {
    if (this.#current.trim() !== "") this.#lines.push(this.#current);
    if (this.#lines.length > 2 * keptLines) {
      this.#lines = this.#lines.slice(-keptLines);
    }
    this.#current = "";
    this.#signLineGrows = false;
  }

  #examine(milestones: ConsoleMilestone[]): void {
    const line = this.#current;
    if (line === "") return;
    for (const { name, pattern } of consoleMilestones) {
      if (pattern.test(line)) this.#reach(name, milestones);
    }
    if (powerDownPattern.test(line)) this.#poweredDown = true;
    this.#lookForSign(line);
  }

  #lookForSign(line: string): void {
    if (this.#sign !== undefined) {
      if (this.#signLineGrows)
        this.#sign = { ...this.#sign, line: shown(line) };
      return;
    }
    const sign = findSign(line);
    if (sign === undefined) return;
    this.#sign = { sign, line: shown(line) };
    this.#signLineGrows = true;
  }

  #reach(name: ConsoleMilestone, milestones: ConsoleMilestone[]): void {
    if (this.#reached.has(name)) return;
    this.#reached.add(name);
    milestones.push(name);
  }
}

/**
 * The text without escape sequences and control characters. Line ends and tabs stay, and a move of the
 * cursor becomes a line end.
 */
export function stripEscapes(text: string): string {
  return text
    .replace(cursorMove, "\n")
    .replace(escapeSequence, "")
    .replace(otherControls, "");
}

function shown(line: string): string {
  const plain = line.replace(fill, "$1$1$1").trimEnd();
  if (plain.length <= longestShown) return plain;
  const half = longestShown / 2;
  return `${plain.slice(0, half)} … ${plain.slice(-half)}`;
}

/** The first sign of failure in a line. */
export function findSign(line: string): Sign | undefined {
  return signs.find(({ pattern }) => pattern.test(line));
}
