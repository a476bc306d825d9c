import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { architectures } from "../../../infra/definitions/definition.ts";
import { fixedRegistration } from "../../../infra/image/build/foreignPrograms.ts";
import {
  smallestProgram,
  smallestProgramCode,
} from "../../../infra/image/build/smallestProgram.ts";
import { isNative } from "../../../infra/image/nativeArchitecture.ts";

describe("the smallest program", () => {
  it.each(architectures)("of %s is one for file(1)", async (architecture) => {
    const { stdout } = await execa("file", ["--brief", "-"], {
      input: smallestProgram(architecture),
    });
    const machines = {
      amd64: "x86-64",
      arm64: "ARM aarch64",
      ppc64el: "64-bit PowerPC",
      riscv64: "UCB RISC-V",
    };
    expect(stdout).toMatch(/^ELF 64-bit LSB executable/);
    expect(stdout).toContain(machines[architecture]);
    expect(stdout).toContain("statically linked");
  });

  it.each(architectures.filter((each) => isNative(each)))(
    "of this machine's architecture, %s, runs and ends with its code",
    async (architecture) => {
      const directory = await mkdtemp(join(tmpdir(), "smallest-program-test-"));
      try {
        const program = join(directory, "program");
        await writeFile(program, smallestProgram(architecture));
        await chmod(program, 0o755);
        const { exitCode } = await execa(program, { reject: false });
        expect(exitCode).toBe(smallestProgramCode);
      } finally {
        await rm(directory, { recursive: true });
      }
    },
  );
});

describe("the registration of an interpreter", () => {
  it.each([
    [":qemu-x:M::\\x7fELF:\\xff:/usr/bin/qemu-x:OPF", "OPF"],
    ["# by Debian\n:qemu-x:M::\\x7fELF:\\xff:/usr/bin/qemu-x:OC\n", "OCF"],
    [":qemu-x:M::\\x7fELF:\\xff:/usr/bin/qemu-x:", "F"],
  ])("of %j gets the flags %s", (text, flags) => {
    expect(fixedRegistration(text)).toBe(
      `:qemu-x:M::\\x7fELF:\\xff:/usr/bin/qemu-x:${flags}`,
    );
  });
});
