import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { bootCommand } from "../../infra/image/bootCommand.ts";

const image = {
  qcow2: "public/trixie/latest/debian-13-tiny-amd64.qcow2",
  architecture: "amd64",
  memoryMiB: 1024,
  firmware: "bios",
} as const;

/** The words of a command, as a shell takes them. */
async function wordsOf(lines: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await execa("sh", [
    "-c",
    `printf '%s\n' ${lines.join(" ")}`,
  ]);
  return stdout.split("\n");
}

/** The value that follows an option. */
async function argumentAfter(
  option: string,
  lines: readonly string[],
): Promise<string | undefined> {
  const words = await wordsOf(lines);
  const index = words.indexOf(option);
  return index < 0 ? undefined : words[index + 1];
}

describe("the command that boots an image", () => {
  it("can be given as one line, or as several that end in a backslash", async () => {
    const lines = bootCommand(image);
    expect(await wordsOf(lines.map((line) => `${line} \\\n`))).toEqual(
      await wordsOf(lines),
    );
    expect(lines[0]).toBe("qemu-system-x86_64");
  });

  it("leaves the file as it is", async () => {
    expect(await argumentAfter("-drive", bootCommand(image))).toBe(
      `if=virtio,snapshot=on,file=${image.qcow2}`,
    );
  });

  it("gives the guest its memory, in MiB", async () => {
    expect(await argumentAfter("-m", bootCommand(image))).toBe("1024");
  });

  it("has firmware of its own for UEFI alone", async () => {
    expect(await argumentAfter("-bios", bootCommand(image))).toBeUndefined();
    expect(
      await argumentAfter("-bios", bootCommand({ ...image, firmware: "uefi" })),
    ).toMatch(/\/OVMF\.fd$/);
  });

  it.each([
    [
      "arm64",
      "uefi-secure-boot",
      "-bios",
      "QEMU_EFI.fd",
      "qemu-system-aarch64",
    ],
    ["riscv64", "u-boot", "-kernel", "uboot.elf", "qemu-system-riscv64"],
    ["ppc64el", "open-firmware", "-bios", undefined, "qemu-system-ppc64"],
  ] as const)(
    "for %s by %s has %s %s",
    async (architecture, firmware, option, file, program) => {
      const lines = bootCommand({ ...image, architecture, firmware });
      expect(lines[0]).toBe(program);
      expect((await argumentAfter(option, lines))?.split("/").at(-1)).toBe(
        file,
      );
    },
  );

  it.each([
    ["kvm", "q35,accel=kvm", "host"],
    ["tcg", "q35,accel=tcg", "qemu64,cx16=off"],
    // The model `host` would not start where kvm is missing.
    [undefined, "q35,accel=kvm:tcg", "qemu64,cx16=off"],
  ] as const)(
    "with acceleration %s asks for machine %s and processor %s",
    async (acceleration, machine, processor) => {
      const known = acceleration === undefined ? {} : { acceleration };
      const lines = bootCommand({ ...image, ...known });
      expect(await argumentAfter("-machine", lines)).toBe(machine);
      expect(await argumentAfter("-cpu", lines)).toBe(processor);
    },
  );
});
