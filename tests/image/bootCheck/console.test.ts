import { describe, expect, test } from "vitest";
import {
  Console,
  findSign,
  stripEscapes,
} from "../../../infra/image/bootCheck/console.ts";

/** Feeds a text in pieces of `size` bytes and gathers what each brought. */
function feedInPieces(text: string, size: number) {
  const console = new Console();
  const bytes = Buffer.from(text);
  const milestones: string[] = [];
  const signs: string[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const news = console.feed(bytes.subarray(at, at + size));
    milestones.push(...news.milestones);
    if (news.failed) signs.push(console.sign?.sign.name ?? "none");
  }
  return { console, milestones, signs };
}

const goodBoot = [
  "\x1b[2J\x1b[01;01HGNU GRUB  version 2.12",
  "error: prohibited by secure boot policy.",
  "Loading Linux 6.12.117+deb13-amd64 ...",
  "[    0.000000] Linux version 6.12.117+deb13-amd64 (debian-kernel@lists.debian.org)",
  "[    0.003411] BIOS-provided physical RAM map:",
  "[    1.204113] systemd[1]: Detected virtualization qemu.",
  "[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mmulti-user.target\x1b[0m.",
  "         Starting \x1b[0;1;39mrescue.service.d\x1b[0m - nothing of the kind...",
  "debian login: ",
].join("\r\n");

describe("a console", () => {
  test.each([1, 2, 3, 7, 64, 100_000])(
    "shows a good boot's milestones and no sign of failure in pieces of %i bytes",
    (size) => {
      const { milestones, signs, console } = feedInPieces(goodBoot, size);
      expect(milestones).toEqual(["firmware", "kernel", "systemd"]);
      expect(signs).toEqual([]);
      expect(console.currentLine).toBe("debian login: ");
    },
  );

  test.each([1, 2, 5, 13, 1000])(
    "shows a failed unit through its colours in pieces of %i bytes",
    (size) => {
      const text =
        "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mssh.service\x1b[0m.\r\n";
      const { signs } = feedInPieces(text, size);
      expect(signs).toEqual(["a failed unit"]);
    },
  );

  test("shows only the first sign: the others follow from it", () => {
    const { signs } = feedInPieces(
      "[ 1.000000] BUG: unable to handle page fault\n[ 1.000001] Oops: 0002\n[ 1.000002] Kernel panic - not syncing: x\n",
      10,
    );
    expect(signs).toEqual(["a kernel bug"]);
  });

  test("sees a prompt that no line end follows", () => {
    const { signs } = feedInPieces("\r\n\r\n(initramfs) ", 4);
    expect(signs).toEqual(["an initramfs shell"]);
  });

  test("keeps the end of a line that never ends", () => {
    const { console } = feedInPieces(`${"\x1b[5C| |".repeat(50_000)}end`, 4096);
    expect(console.currentLine.length).toBeLessThanOrEqual(2000);
    expect(console.currentLine.endsWith("end")).toBe(true);
  });

  test("tells a sign's whole line, and no other", () => {
    const { console } = feedInPieces("one\nNo bootable device.\ntwo\n", 2);
    expect(console.sign?.line).toBe("No bootable device.");
  });

  test("shows menus without their frames and fill", () => {
    const menu =
      "\x1b[01;01HGNU GRUB  version 2.12\x1b[03;01H+--------------+\x1b[04;02H*Debian GNU/Linux              |\x1b[20;05Hexecuted automatically in 1s.";
    expect(feedInPieces(menu, 6).console.tail(10)).toEqual([
      "GNU GRUB  version 2.12",
      "+---+",
      "*Debian GNU/Linux   |",
      "executed automatically in 1s.",
    ]);
  });

  test("shows both ends of a long line", () => {
    const { console } = feedInPieces(`begin ${"word ".repeat(100)}end`, 50);
    const [line = ""] = console.tail(1);
    expect(line).toMatch(/^begin .* … .* end$/);
    expect(line.length).toBeLessThan(250);
  });

  test("keeps no more lines than a message can need", () => {
    const { console } = feedInPieces("line\n".repeat(5000), 1000);
    expect(console.tail(10_000).length).toBeLessThanOrEqual(801);
  });

  test("leaves empty lines out of its last lines", () => {
    const { console } = feedInPieces("one\r\n\r\n\r\ntwo\r\n  \r\nthree", 3);
    expect(console.tail(2)).toEqual(["two", "three"]);
  });

  test("decodes characters that are split between pieces", () => {
    const { console } = feedInPieces("Starting Bjørn’s unit…", 1);
    expect(console.currentLine).toBe("Starting Bjørn’s unit…");
  });

  test("hears the kernel switch the machine off", () => {
    const { console } = feedInPieces(
      "[   43.120001] reboot: Power down\r\n",
      5,
    );
    expect(console.poweredDown).toBe(true);
  });
});

test.each([
  ["\x1b[0;1;31mred\x1b[0m", "red"],
  ["\x1b]0;title\x07text", "text"],
  ["\x1b]8;;http://x\x1b\\link", "link"],
  ["\x1b(B\x1b[m\x1b=text\x1b>", "text"],
  ["\x1b[?25h\x1b[?2004ltext", "text"],
  ["bell\x07 and backspace\x08", "bell and backspace"],
])("escape sequences leave %j as %j", (text, plain) => {
  expect(stripEscapes(text)).toBe(plain);
});

test.each([
  [
    "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    "a kernel panic",
  ],
  [
    "ALERT!  PARTUUID=6c867ab9 does not exist.  Dropping to a shell!",
    "an initramfs without the root device",
  ],
  [
    "Gave up waiting for root file system device.  Common problems:",
    "an initramfs that gave up",
  ],
  ["grub rescue> ", "GRUB's rescue prompt"],
  ["grub> ", "GRUB's prompt instead of a menu"],
  ["error: no such device: 43df3305.", "GRUB missing a device"],
  ["error: file `/boot/vmlinuz-6.12' not found.", "GRUB missing a file"],
  [
    'BdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0): Not Found',
    "UEFI failing to start the image",
  ],
  [
    "BdsDxe: No bootable option or device was found.",
    "firmware that finds nothing to boot",
  ],
  ["No bootable device.", "firmware that finds nothing to boot"],
  [
    "[    7.1] bad[312]: segfault at 0 ip 00007f sp 00007ff error 4",
    "a crashed program",
  ],
  [
    "[DEPEND] Dependency failed for boot.mount - /boot.",
    "a unit missing another",
  ],
  ["You are in emergency mode. After logging in, type", "emergency mode"],
  [
    "[    9.9] EXT4-fs error (device vda1): ext4_lookup:1:",
    "a damaged file system",
  ],
])("the line %j shows %s", (line, name) => {
  expect(findSign(line)?.name).toBe(name);
});

test.each([
  "error: prohibited by secure boot policy.",
  "error: file `/boot/grub/x86_64-efi/bli.mod' not found.",
  "[    0.5] Run /init as init process",
  "[    0.9] EXT4-fs (vda1): mounted filesystem with ordered data mode",
  "[  OK  ] Reached target sysinit.target - System Initialization.",
  "[    0.0] printk: debug: ignoring loglevel setting.",
  "cloud-init[512]: Cloud-init v. 25.1.4 finished. Datasource DataSourceNoCloud",
])("the line %j shows nothing bad", (line) => {
  expect(findSign(line)).toBeUndefined();
});
