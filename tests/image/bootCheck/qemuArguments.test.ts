import { expect, test } from "vitest";
import {
  architectures,
  type Firmware,
  firmwaresOf,
} from "../../../infra/definitions/definition.ts";
import {
  type Machine,
  qemuArguments,
} from "../../../infra/image/bootCheck/qemuArguments.ts";

function machineWith(changes: Partial<Machine> = {}): Machine {
  return {
    architecture: "amd64",
    firmware: "bios",
    acceleration: "tcg",
    memoryMiB: 1536,
    processors: 2,
    files: {
      overlay: "/work/overlay.qcow2",
      variables: "/work/variables.fd",
      script: "/work/script.raw",
      smbiosStrings: [],
    },
    ...changes,
  };
}

/** The values that follow an option, in order. */
function valuesOf(option: string, machine: Machine): readonly string[] {
  const all = qemuArguments(machine);
  return all.filter((_, index) => all[index - 1] === option);
}

function joined(machine: Machine): string {
  return qemuArguments(machine).join(" ");
}

test.each(firmwaresOf.amd64)(
  "%s: the machine has a display, two serial ports and no second chance",
  (firmware) => {
    const text = joined(machineWith({ firmware }));
    expect(text).toContain("-nodefaults -no-user-config");
    expect(text).toContain("-vga std -display none");
    expect(text).toContain("-serial chardev:console");
    expect(text).toContain("-serial chardev:report");
    expect(text.indexOf("chardev:console")).toBeLessThan(
      text.indexOf("chardev:report"),
    );
    expect(text).toContain("-no-reboot -no-shutdown");
    expect(text).toContain("-m 1536M -smp 2");
  },
);

test.each<[Firmware, string | undefined, string, boolean]>([
  ["bios", undefined, "q35,smm=off", false],
  ["uefi", "/usr/share/OVMF/OVMF_CODE_4M.fd", "q35,smm=off", false],
  [
    "uefi-secure-boot",
    "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
    "q35,smm=on",
    true,
  ],
])("%s: its firmware is %s", (firmware, code, machineType, secure) => {
  const machine = machineWith({ firmware });
  const flash = valuesOf("-drive", machine).filter((value) =>
    value.includes("if=pflash"),
  );
  expect(valuesOf("-machine", machine)).toEqual([machineType]);
  expect(flash).toEqual(
    code === undefined
      ? []
      : [
          `if=pflash,unit=0,format=raw,readonly=on,file=${code}`,
          "if=pflash,unit=1,format=raw,file=/work/variables.fd",
        ],
  );
  expect(valuesOf("-global", machine)).toEqual(
    secure ? ["driver=cfi.pflash01,property=secure,value=on"] : [],
  );
});

const foreign = architectures.filter((each) => each !== "amd64");

test.each(foreign)(
  "%s: the machine has a display that is no console, and reports on a virtio port",
  (architecture) => {
    for (const firmware of firmwaresOf[architecture]) {
      const machine = machineWith({ architecture, firmware });
      expect(valuesOf("-vga", machine)).toEqual(["none"]);
      expect(valuesOf("-serial", machine)).toEqual(["chardev:console"]);
      expect(valuesOf("-device", machine)).toEqual(
        expect.arrayContaining([
          "virtio-gpu-pci",
          "virtio-serial-pci",
          "virtserialport,chardev=report,name=boot-check.report",
        ]),
      );
      expect(joined(machine)).not.toContain("smm");
    }
  },
);

test("arm64: Secure Boot is a matter of the firmware's files alone", () => {
  const machine = machineWith({
    architecture: "arm64",
    firmware: "uefi-secure-boot",
  });
  expect(valuesOf("-machine", machine)).toEqual(["virt"]);
  expect(valuesOf("-global", machine)).toEqual([]);
  expect(valuesOf("-drive", machine).slice(0, 2)).toEqual([
    "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/AAVMF/AAVMF_CODE.ms.fd",
    "if=pflash,unit=1,format=raw,file=/work/variables.fd",
  ]);
});

test("riscv64 starts with U-Boot, ppc64el with what qemu brings", () => {
  const riscv64 = machineWith({ architecture: "riscv64", firmware: "u-boot" });
  expect(valuesOf("-kernel", riscv64)).toEqual([
    "/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf",
  ]);
  const ppc64el = machineWith({
    architecture: "ppc64el",
    firmware: "open-firmware",
  });
  expect(joined(ppc64el)).not.toMatch(/-kernel|pflash|debugcon/);
});

test("translation runs in several threads, on a processor without cmpxchg16b", () => {
  expect(joined(machineWith())).toContain(
    "-accel tcg,thread=multi -cpu qemu64,cx16=off",
  );
  expect(joined(machineWith({ acceleration: "kvm" }))).toContain(
    "-accel kvm -cpu host",
  );
});

test("the overlay is the only disk that is written to, and the only one booted from", () => {
  const files = { ...machineWith().files, seed: "/work/seed.raw" };
  const machine = machineWith({ files });
  expect(valuesOf("-drive", machine)).toEqual([
    "if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file=/work/overlay.qcow2",
    "if=none,id=script,format=raw,readonly=on,file=/work/script.raw",
    "if=none,id=seed,format=raw,readonly=on,file=/work/seed.raw",
  ]);
  expect(
    valuesOf("-device", machine).filter((value) => value.includes("bootindex")),
  ).toEqual(["virtio-blk-pci,drive=disk,bootindex=0"]);
});

test("each SMBIOS string is read from its file", () => {
  const files = {
    ...machineWith().files,
    smbiosStrings: ["/work/a", "/work/b"],
  };
  expect(valuesOf("-smbios", machineWith({ files }))).toEqual([
    "type=11,path=/work/a",
    "type=11,path=/work/b",
  ]);
});

test("a comma in a path stays part of the path", () => {
  const files = { ...machineWith().files, script: "/work,file=/etc/shadow" };
  expect(joined(machineWith({ files }))).toContain(
    "file=/work,,file=/etc/shadow",
  );
});
