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
