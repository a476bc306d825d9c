/** Talks to a running qemu by QMP, its JSON control protocol, over a socket. */

import type { Duplex } from "node:stream";
import { z } from "zod";

/** An event, such as `SHUTDOWN`, with what qemu says about it. */
export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** QMP's messages that matter here; `QMP` is the greeting. */
const messageSchema = z.union([
  z.object({ QMP: z.unknown() }),
  z.object({ return: z.unknown(), id: z.number() }),
  z.object({
    error: z.object({ class: z.string(), desc: z.string() }),
    id: z.number(),
  }),
  z.object({
    event: z.string(),
    data: z.record(z.string(), z.unknown()).default({}),
  }),
]);

type Message = z.infer<typeof messageSchema>;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** One control connection. */
export class Qmp {
  readonly #socket: Duplex;
  readonly #onEvent: (event: QmpEvent) => void;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #unfinished = "";

  /** Takes the socket over and opens the conversation. */
  constructor(socket: Duplex, onEvent: (event: QmpEvent) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("close", () => this.#close());
    // "close" follows; whoever waits is told there.
    socket.on("error", () => {});
    this.execute("qmp_capabilities").catch(() => {});
  }

  /**
   * Has qemu do something, and waits until it is done.
   * @throws Error when qemu refuses, or ends before it answers.
   */
  execute(
    command: string,
    commandArguments: Readonly<Record<string, unknown>> = {},
  ): Promise<unknown> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (this.#socket.destroyed) {
      reject(new Error(`qemu has ended: ${command}`));
      return promise;
    }
    this.#waiting.set(id, { resolve, reject });
    const message = { execute: command, arguments: commandArguments, id };
    this.#socket.write(`${JSON.stringify(message)}\n`);
    return promise;
  }

  #receive(text: string): void {
    const lines = (this.#unfinished + text).split("\n");
    this.#unfinished = lines.pop() ?? "";
    for (const line of lines) {
      const message = readMessage(line);
      if (message !== undefined) this.#handle(message);
    }
  }

  #handle(message: Message): void {
    if ("event" in message) {
      this.#onEvent({ name: message.event, data: message.data });
      return;
    }
    if (!("id" in message)) return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ("error" in message) {
      waiting?.reject(new Error(`qemu refuses: ${message.error.desc}`));
    } else {
      waiting?.resolve(message.return);
    }
  }

  #close(): void {
    for (const { reject } of this.#waiting.values()) {
      reject(new Error("qemu ended before it answered"));
    }
    this.#waiting.clear();
  }
}

/** Undefined for what is no message of use: a wrong one then shows as an answer that does not come. */
function readMessage(line: string): Message | undefined {
  try {
    return messageSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
