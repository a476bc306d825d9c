import { expect, test } from "vitest";
import { isSilentOff } from "../../../infra/image/bootCheck/run.ts";

const ended = { kind: "qemu", reason: "exit code 0" } as const;

test("a machine that is gone after the kernel switched it off was switched off", () => {
  expect(isSilentOff(ended, 0, true)).toBe(true);
});

test("one that is gone for another reason was not", () => {
  expect(isSilentOff(ended, 0, false)).toBe(false);
  expect(isSilentOff(ended, 1, true)).toBe(false);
  expect(isSilentOff(ended, null, true)).toBe(false);
  expect(isSilentOff({ kind: "time-limit", seconds: 1 }, 0, true)).toBe(false);
});
