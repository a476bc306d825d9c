import { availableParallelism } from "node:os";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  availableMemoryMiB,
  withCapacity,
} from "../../infra/image/capacity.ts";

describe("work that needs memory", () => {
  it("is refused, not begun, where the machine does not have it", async () => {
    let begun = false;
    const attempt = withCapacity("The build of x", 1e9, async () => {
      begun = true;
    });
    await expect(attempt).rejects.toThrow(
      /^The build of x needs 1000000000 MiB of memory, and \d+ MiB are available\. Free memory, use a larger machine, or lower memoryMiB in its definition\.$/,
    );
    await expect(attempt).rejects.toHaveProperty("name", "UserError");
    expect(begun).toBe(false);
  });

  it("waits for other work when there is not enough for both", async () => {
    const share = Math.floor(availableMemoryMiB() * 0.6);
    const first = Promise.withResolvers<void>();
    const order: string[] = [];
    const work = (name: string, until: Promise<void>) =>
      withCapacity(name, share, async () => {
        order.push(`${name} begins`);
        await until;
        order.push(`${name} ends`);
      });
    const both = [work("one", first.promise), work("two", Promise.resolve())];
    await expect.poll(() => order).toEqual(["one begins"]);
    // Time enough for the other to begin, were it allowed to.
    await setTimeout(100);
    first.resolve();
    await Promise.all(both);
    expect(order).toEqual(["one begins", "one ends", "two begins", "two ends"]);
  });

  it("goes on after work that failed", async () => {
    const failed = withCapacity("x", 1, () => Promise.reject(new Error("no")));
    await expect(failed).rejects.toThrow("no");
    expect(await withCapacity("y", 1, async () => "done")).toBe("done");
  });
});

describe("work that passes its turn", () => {
  const places = availableParallelism();

  /** Fills the places with work that ends when it is told to. @returns what ends it all */
  function occupy(count: number): () => Promise<void> {
    const end = Promise.withResolvers<void>();
    const all = Array.from({ length: count }, () =>
      withCapacity("other", 1, () => end.promise),
    );
    return async () => {
      end.resolve();
      await Promise.all(all);
    };
  }

  it("lets other work begin, and goes on before what has not begun", async () => {
    const order: string[] = [];
    const isOther = Promise.withResolvers<void>();
    const empty = occupy(places - 1);
    const first = withCapacity("first", 1, async (turn) => {
      turn.pass();
      await isOther.promise;
      await turn.regain();
      order.push("first goes on");
    });
    const other = withCapacity("other", 1, async () => {
      order.push("other begins");
      isOther.resolve();
      // Time enough for the first to go on, were it allowed to.
      await setTimeout(100);
      order.push("other ends");
    });
    const last = withCapacity("last", 1, async () => {
      order.push("last begins");
    });
    await Promise.all([first, other, last]);
    await empty();
    expect(order).toEqual([
      "other begins",
      "other ends",
      "first goes on",
      "last begins",
    ]);
  });

  it("takes no place when it ends while it waits for one", async () => {
    const passed = Promise.withResolvers<void>();
    const ended = withCapacity("ended", 1, async (turn) => {
      turn.pass();
      await passed.promise;
      void turn.regain();
      throw new Error("killed");
    });
    const empty = occupy(places);
    passed.resolve();
    await expect(ended).rejects.toThrow("killed");
    await empty();
    const all = Array.from({ length: places }, () =>
      withCapacity("next", 1, () => setTimeout(10)),
    );
    await Promise.all(all);
  });

  it("finds a place again while other work waits for the memory that it has", async () => {
    const share = Math.floor(availableMemoryMiB() * 0.6);
    const passed = Promise.withResolvers<void>();
    const first = withCapacity("first", share, async (turn) => {
      turn.pass();
      await passed.promise;
      await turn.regain();
    });
    const others = Array.from({ length: places }, () =>
      withCapacity("other", share, async () => {}),
    );
    // Time enough for the others to take every place, were they allowed to.
    await setTimeout(100);
    passed.resolve();
    await Promise.all([first, ...others]);
  });
});
