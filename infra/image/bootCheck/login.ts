/**
 * Logs root in on a serial console and starts the guest script there: for images of Debian 12 without
 * cloud-init, which can be told in no other way. Decides only; what it returns is for the caller to type.
 *
 * Kernel messages fall between a prompt and what is typed after it, and a slow guest may drop what
 * comes before getty listens. So nothing is believed but the guest script's own sign of life: until it
 * comes, a login prompt is answered whenever one is seen, and the command is typed again and again.
 */

/** What to do now. */
export type LoginStep =
  | { readonly kind: "wait" }
  | { readonly kind: "type"; readonly text: string }
  | { readonly kind: "give-up"; readonly reason: string };

/** agetty's prompt, at the end of what has come: `debian login: `. */
const loginPrompt = /\blogin: *$/;

/** login's question when root has a password. */
const passwordPrompt = /Password: *$/;

/** root's shell prompt, perhaps with a kernel message behind it. */
const shellPrompt = /root@[\w.-]+:[^#]*# |(?:^|\s)# *$/;

/**
 * Seconds after which unanswered typing is repeated. login under TCG takes up to ten seconds to show a
 * shell's prompt, and a command typed meanwhile waits in the terminal's buffer.
 */
const patienceSeconds = 15;

/** Types at a console until the guest script starts. */
export class ConsoleLogin {
  readonly #command: string;
  #typed: "nothing" | "name" | "command" = "nothing";
  #typedAtSeconds = 0;
  #passwordsAsked = 0;

  /** @param command a line for root's shell, without line end */
  constructor(command: string) {
    this.#command = command;
  }

  /**
   * Decides on what to type. To be called whenever the console said something, and every second.
   *
   * @param currentLine the console's unfinished line
   * @param nowSeconds since the machine's start
   */
  step(currentLine: string, nowSeconds: number): LoginStep {
    const patient = nowSeconds - this.#typedAtSeconds < patienceSeconds;
    if (loginPrompt.test(currentLine)) {
      // The same prompt stands there until the name is echoed.
      if (this.#typed === "name" && patient) return { kind: "wait" };
      return this.#type("name", "root\n", nowSeconds);
    }
    if (passwordPrompt.test(currentLine)) return this.#password(nowSeconds);
    if (this.#typed === "nothing") return { kind: "wait" };
    const ready = this.#typed === "name" && shellPrompt.test(currentLine);
    if (!ready && patient) return { kind: "wait" };
    // A first line end completes whatever stands there half typed.
    return this.#type("command", `\n${this.#command}\n`, nowSeconds);
  }

  /** A password asked once may be an answer to the command, typed at a login prompt by mistake. */
  #password(nowSeconds: number): LoginStep {
    if (this.#typed === "nothing") return { kind: "wait" };
    this.#passwordsAsked += 1;
    if (this.#passwordsAsked > 1) {
      const reason = "root cannot log in on the console without a password";
      return { kind: "give-up", reason };
    }
    return this.#type("nothing", "\n", nowSeconds);
  }

  #type(
    what: "nothing" | "name" | "command",
    text: string,
    nowSeconds: number,
  ): LoginStep {
    this.#typed = what;
    this.#typedAtSeconds = nowSeconds;
    return { kind: "type", text };
  }
}
