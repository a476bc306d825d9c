import { expect, test } from "vitest";
import {
  chooseAcceleration,
  probe,
} from "../../../infra/image/bootCheck/acceleration.ts";
import { isNative } from "../../../infra/image/nativeArchitecture.ts";
import { withDirectory } from "./fixtures.ts";

const never = new AbortController().signal;

test("foreign images are translated, whatever this machine has", async () => {
  await withDirectory(async (directory) => {
    const foreign = isNative("arm64") ? "amd64" : "arm64";
    expect(await chooseAcceleration(foreign, "uefi", directory, never)).toBe(
      "tcg",
    );
  });
});

test("translation passes for working acceleration on arm64's machine", async () => {
  await withDirectory(async (directory) => {
    const machine = {
      acceleration: "tcg",
      architecture: "arm64",
      firmware: "uefi-secure-boot",
    } as const;
    expect(await probe(machine, directory, never)).toBe(true);
  });
});
