import { expect, test } from "vitest";
import {
  progressLine,
  TransferProgress,
} from "../../../infra/platforms/ec2/transferProgress.ts";

const mebibyte = 1024 ** 2;

test("a line says how much is done, how fast, and how long it will take", () => {
  expect(progressLine("sent", 512 * mebibyte, 1200 * mebibyte, 8)).toBe(
    "sent 512 of 1200 MiB, 64 MiB/s, 11 s left",
  );
  expect(progressLine("read back", mebibyte, 601 * mebibyte, 1)).toBe(
    "read back 1 of 601 MiB, 1 MiB/s, 10 min left",
  );
});

test("there is one line every five seconds", () => {
  const lines: string[] = [];
  let now = 100;
  const progress = new TransferProgress(
    "sent",
    100 * mebibyte,
    (line) => lines.push(line),
    () => now,
  );
  for (let second = 0; second < 12; second++) {
    now++;
    progress.add(mebibyte);
  }
  expect(lines).toEqual([
    "sent 5 of 100 MiB, 1 MiB/s, 95 s left",
    "sent 10 of 100 MiB, 1 MiB/s, 90 s left",
  ]);
});
