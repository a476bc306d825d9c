/** Lets many that ask for the same thing at once share the work, without an answer that is older than the question. */

/** Runs of one kind, by what they are about. */
export class SharedRuns<Result> {
  /** Those that have not begun. */
  readonly #waiting = new Map<string, Promise<Result>>();
  /** Those that were asked for last. */
  readonly #last = new Map<string, Promise<Result>>();

  /**
   * What a run gives that begins after this call: one for all who ask while another one is at work.
   *
   * @param key what it is about
   */
  after(key: string, run: () => Promise<Result>): Promise<Result> {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) return waiting;
    const next = this.#runAfter(this.#last.get(key), key, run);
    this.#waiting.set(key, next);
    this.#last.set(key, next);
    return next;
  }

  async #runAfter(
    last: Promise<Result> | undefined,
    key: string,
    run: () => Promise<Result>,
  ): Promise<Result> {
    // That one failed is for those who asked for it.
    await last?.catch(() => undefined);
    const own = this.#waiting.get(key);
    this.#waiting.delete(key);
    try {
      return await run();
    } finally {
      if (this.#last.get(key) === own) this.#last.delete(key);
    }
  }
}
