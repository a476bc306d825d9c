/** The smallest machines that go wrong: boot sectors that say something and then end in some way. */

import { bootSector } from "../../../infra/image/bootCheck/probeSector.ts";

/** Where BIOS puts a boot sector. */
const origin = 0x7c00;

const ports = { console: 0x3f8, report: 0x2f8 } as const;

/** What the machine does when everything is said. */
const endings = {
  // hlt; jmp
  hang: [0xf4, 0xeb, 0xfd],
  // mov al, 0xfe; out 0x64, al: the keyboard controller's reset line
  reset: [0xb0, 0xfe, 0xe6, 0x64, 0xf4],
  // mov dx, 0x604; mov ax, 0x2000; out dx, ax: q35's ACPI power management, "soft off"
  off: [0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd],
} as const;

export interface Saying {
  readonly port: keyof typeof ports;
  readonly text: string;
}

/** A boot sector that says one thing after the other on its serial ports, and ends. */
export function sectorThat(
  ending: keyof typeof endings,
  ...sayings: readonly Saying[]
): Buffer {
  const codeBytes =
    setUp.length + sayings.length * sayLength + endings[ending].length;
  const code: number[] = [...setUp];
  let address = origin + codeBytes;
  for (const { port, text } of sayings) {
    code.push(...say(ports[port], address));
    address += Buffer.byteLength(text, "latin1") + 1;
  }
  const texts = sayings.map(({ text }) => Buffer.from(`${text}\0`, "latin1"));
  return bootSector([...code, ...endings[ending], ...Buffer.concat(texts)]);
}

// cld; xor ax, ax; mov ds, ax
const setUp = [0xfc, 0x31, 0xc0, 0x8e, 0xd8];

/** Sends bytes up to a zero byte, each when the port is ready for it. */
function say(port: number, address: number): number[] {
  return [
    ...[0xbe, ...word(address)], // mov si, address
    ...[0xba, ...word(port + 5)], // wait: mov dx, line status
    0xec, // poll: in al, dx
    ...[0xa8, 0x20], // test al, 0x20
    ...[0x74, 0xfb], // jz poll
    0xac, // lodsb
    ...[0x84, 0xc0], // test al, al
    ...[0x74, 0x06], // jz done
    ...[0xba, ...word(port)], // mov dx, port
    0xee, // out dx, al
    ...[0xeb, 0xed], // jmp wait
  ];
}

const sayLength = say(0, 0).length;

function word(value: number): [number, number] {
  return [value & 0xff, value >> 8];
}
