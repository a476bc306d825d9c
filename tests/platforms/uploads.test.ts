import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import {
  inTurn as inAnyTurn,
  type Turn,
  watched,
} from "../../infra/platforms/uploads.ts";

/** Files, whose pieces are asked for. */
function inTurn<T>(
  atOnce: number,
  chunks: AsyncIterable<Buffer>,
  send: (chunks: AsyncIterable<Buffer>) => Promise<T>,
  patienceSeconds?: number,
): Promise<T> {
  return inAnyTurn(
    atOnce,
    (turn) => send(watched(chunks, turn)),
    patienceSeconds,
  );
}

async function* pieces(count: number): AsyncGenerator<Buffer> {
  for (let index = 0; index < count; index++) yield Buffer.from([index]);
}

async function drain(chunks: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) bytes += chunk.length;
  return bytes;
}

it("lets so many upload at once, whoever they are", async () => {
  let now = 0;
  let most = 0;
  const all = Array.from({ length: 7 }, () =>
    inTurn(3, pieces(4), async (chunks) => {
      now++;
      most = Math.max(most, now);
      await sleep(20);
      now--;
      return drain(chunks);
    }),
  );
  expect(await Promise.all(all)).toEqual(Array(7).fill(4));
  expect(most).toBe(3);
});

it("ends a turn with the last piece: the answer may take its time", async () => {
  const answer = Promise.withResolvers<void>();
  const slow = inTurn(1, pieces(2), async (chunks) => {
    await drain(chunks);
    await answer.promise;
  });
  expect(await inTurn(1, pieces(3), drain)).toBe(3);
  answer.resolve();
  await slow;
});

it("gives the turn of what does not move to another, and has it back when it fails", async () => {
  const stuck = Promise.withResolvers<void>();
  const hanging = inTurn(1, pieces(2), () => stuck.promise, 0.05);
  // Its pieces are not asked for at all; others go on.
  await expect(
    Promise.race([inTurn(1, pieces(3), drain, 0.05), sleep(2000, "never")]),
  ).resolves.toBe(3);
  stuck.reject(new Error("it broke"));
  await expect(hanging).rejects.toThrow("it broke");
  expect(await inTurn(1, pieces(1), drain)).toBe(1);
});

it("keeps the turn of a disk for as long as its blocks move", async () => {
  const events: string[] = [];
  const blocks = async ({ moved }: Turn) => {
    for (let block = 0; block < 5; block++) {
      await sleep(100);
      moved();
    }
    events.push("sent");
  };
  const disk = inAnyTurn(1, blocks, 0.25);
  await inTurn(1, pieces(1), async (chunks) => {
    events.push("next");
    return drain(chunks);
  });
  await disk;
  expect(events).toEqual(["sent", "next"]);
});
