/** The smallest guest for arm64's machine, which has no BIOS to load a sector. Pure. */

import { probeSign } from "./probeSector.ts";

/** Where qemu's machine `virt` has its first serial port, in units of 64 KiB: 0x0900_0000. */
const serialPortPage = 0x0900;

/** What the guest runs from its first byte on. It counts as the one for BIOS does, see probeSector.ts. */
export const probeProgram = Buffer.concat(
  [
    0xd2a0_0002 | (0x131 << 5), // movz x2, 0x131, lsl 16: twenty million
    0xf100_0442, // count: subs x2, x2, 1
    0x54ff_ffe1, // b.ne count
    0xd2a0_0000 | (serialPortPage << 5), // movz x0, 0x900, lsl 16
    ...[...Buffer.from(probeSign)].flatMap((character) => [
      0x5280_0001 | (character << 5), // mov w1, character
      0xb900_0001, // str w1, [x0]
    ]),
    0x1400_0000, // halt: b halt
  ].map((instruction) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(instruction >>> 0);
    return bytes;
  }),
);
