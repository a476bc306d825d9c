/** The smallest guest: a boot sector that proves that the processor runs a guest's instructions. Pure. */

/** What the guest says on its first serial port. */
export const probeSign = "ok";

/** Bytes in a disk's sector. */
const sectorBytes = 512;

/** Where BIOS looks for the sign of a bootable sector, and the sign. */
const signatureOffset = 510;
const signature = [0x55, 0xaa];

/** Fills machine code, to be run at 0000:7c00 in 16-bit mode, up to a bootable sector. */
export function bootSector(code: readonly number[]): Buffer {
  if (code.length > signatureOffset) {
    throw new RangeError(`${code.length} bytes do not fit into a boot sector.`);
  }
  const sector = Buffer.alloc(sectorBytes);
  sector.set(code);
  sector.set(signature, signatureOffset);
  return sector;
}

/**
 * Adds floating-point vectors, which kvm cannot do for a processor that is itself emulated, and counts
 * to twenty million, which takes a real processor 10 ms, translation 100 ms and kvm's instruction
 * emulator longer than the probe waits.
 */
export const probeSector = bootSector(
  [
    [0xfa], // cli
    [0x31, 0xc0], // xor ax, ax
    [0x8e, 0xd8], // mov ds, ax
    [0x0f, 0x20, 0xc0], // mov eax, cr0
    [0x24, 0xfb], // and al, ~EM
    [0x0c, 0x02], // or al, MP
    [0x0f, 0x22, 0xc0], // mov cr0, eax
    [0x0f, 0x20, 0xe0], // mov eax, cr4
    [0x0d, 0x00, 0x06], // or ax, OSFXSR | OSXMMEXCPT
    [0x0f, 0x22, 0xe0], // mov cr4, eax
    [0x0f, 0x58, 0xc0], // addps xmm0, xmm0
    [0x66, 0xb9, 0x00, 0x2d, 0x31, 0x01], // mov ecx, 20000000
    [0x66, 0x49], // count: dec ecx
    [0x75, 0xfc], // jnz count
    [0xba, 0xf8, 0x03], // mov dx, 0x3f8
    ...[...Buffer.from(probeSign)].map((character) => [
      ...[0xb0, character], // mov al, character
      0xee, // out dx, al
    ]),
    [0xf4], // halt: hlt
    [0xeb, 0xfd], // jmp halt
  ].flat(),
);
