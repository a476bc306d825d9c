/** The smallest program of each architecture: what shows whether a machine can run its programs. Pure. */

import type { Architecture } from "../../definitions/definition.ts";

/** The program ends with this exit code, and does nothing else. */
export const smallestProgramCode = 42;

/** ELF header and one program header, by the ELF-64 object file format 1.5. */
const elfHeaderBytes = 64;
const programHeaderBytes = 56;

/** Where the program is loaded: any page that no kernel keeps for itself. */
const address = 0x40_0000;

/** ELF's number of the machine, its flags, and the instructions of `exit(42)` by Linux's calling convention. */
const programs: Readonly<
  Record<
    Architecture,
    {
      readonly machine: number;
      readonly flags: number;
      readonly code: readonly number[];
    }
  >
> = {
  amd64: {
    machine: 62,
    flags: 0,
    code: [
      ...[0xbf, smallestProgramCode, 0, 0, 0], // mov edi, 42
      ...[0xb8, 60, 0, 0, 0], // mov eax, 60
      ...[0x0f, 0x05], // syscall
    ],
  },
  arm64: {
    machine: 183,
    flags: 0,
    code: [
      0xd280_0000 | (smallestProgramCode << 5), // mov x0, 42
      0xd280_0008 | (93 << 5), // mov x8, 93
      0xd400_0001, // svc 0
    ].flatMap(littleEndian),
  },
  ppc64el: {
    machine: 21,
    // ABI version 2, that of little-endian Linux.
    flags: 2,
    code: [
      0x3800_0001, // li r0, 1
      0x3860_0000 | smallestProgramCode, // li r3, 42
      0x4400_0002, // sc
    ].flatMap(littleEndian),
  },
  riscv64: {
    machine: 243,
    flags: 0,
    code: [
      (smallestProgramCode << 20) | (10 << 7) | 0x13, // li a0, 42
      (93 << 20) | (17 << 7) | 0x13, // li a7, 93
      0x73, // ecall
    ].flatMap(littleEndian),
  },
};

/** A statically linked ELF executable for Linux that ends with {@link smallestProgramCode}. */
export function smallestProgram(architecture: Architecture): Buffer {
  const { machine, flags, code } = programs[architecture];
  const codeOffset = elfHeaderBytes + programHeaderBytes;
  const size = codeOffset + code.length;
  const file = Buffer.alloc(size);
  // Magic number; 64 bits, little-endian, version 1.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(2, 16); // e_type: executable
  file.writeUInt16LE(machine, 18);
  file.writeUInt32LE(1, 20); // e_version
  file.writeBigUInt64LE(BigInt(address + codeOffset), 24); // e_entry
  file.writeBigUInt64LE(BigInt(elfHeaderBytes), 32); // e_phoff
  file.writeUInt32LE(flags, 48);
  file.writeUInt16LE(elfHeaderBytes, 52);
  file.writeUInt16LE(programHeaderBytes, 54);
  file.writeUInt16LE(1, 56); // e_phnum
  file.writeUInt32LE(1, 64); // p_type: load
  file.writeUInt32LE(5, 68); // p_flags: read, execute
  file.writeBigUInt64LE(BigInt(address), 80); // p_vaddr
  file.writeBigUInt64LE(BigInt(address), 88); // p_paddr
  file.writeBigUInt64LE(BigInt(size), 96); // p_filesz
  file.writeBigUInt64LE(BigInt(size), 104); // p_memsz
  file.writeBigUInt64LE(0x1000n, 112); // p_align
  file.set(code, codeOffset);
  return file;
}

function littleEndian(instruction: number): readonly number[] {
  return [0, 8, 16, 24].map((shift) => (instruction >>> shift) & 0xff);
}
