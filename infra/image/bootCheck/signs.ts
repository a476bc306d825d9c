/** What a console says when a boot has gone wrong. Data only. */

/** One sign of failure. */
export interface Sign {
  /** What it means, for people; stands after "the console shows". */
  readonly name: string;
  /** Matched against one line without escape sequences, also while the line is still growing. */
  readonly pattern: RegExp;
}

/**
 * Signs of failure, in order of a boot.
 *
 * None of them stood in good boots of Debian 12 and 13 under any firmware; a wrong root partition in
 * grub.cfg hits three. Not among them is a plain `error:`: GRUB says `error: prohibited by secure boot
 * policy` in a good boot.
 */
export const signs: readonly Sign[] = [
  { name: "firmware that finds nothing to boot", pattern: /No bootable/ },
  { name: "UEFI failing to start the image", pattern: /BdsDxe: failed/ },
  { name: "UEFI's own shell", pattern: /UEFI Interactive Shell/ },
  { name: "a Secure Boot refusal", pattern: /Security Violation/i },
  { name: "a Secure Boot refusal", pattern: /bad shim signature/ },
  { name: "GRUB's rescue prompt", pattern: /grub rescue>/ },
  { name: "GRUB's prompt instead of a menu", pattern: /^ *grub>/ },
  {
    name: "GRUB missing a device",
    pattern: /error: no such (device|partition)/,
  },
  // Not a missing module (`….mod'`): GRUB goes on without, or ends in its rescue prompt.
  {
    name: "GRUB missing a file",
    pattern: /error: file .*(?<!\.mod)' not found/,
  },
  { name: "GRUB not knowing a file system", pattern: /unknown filesystem/ },
  { name: "GRUB without a kernel", pattern: /you need to load the kernel/ },
  { name: "a kernel panic", pattern: /Kernel panic - not syncing/ },
  { name: "a kernel oops", pattern: /\bOops:/ },
  { name: "a kernel bug", pattern: /\bBUG:/ },
  {
    name: "a kernel without its root file system",
    pattern: /Unable to mount root fs/,
  },
  {
    name: "an initramfs without the root device",
    pattern: /ALERT! +.* does not exist/,
  },
  {
    name: "an initramfs that gave up",
    pattern: /Gave up waiting for (root|suspend)/,
  },
  { name: "an initramfs shell", pattern: /^\(initramfs\)/ },
  { name: "an initramfs shell", pattern: /dracut:\/#/ },
  { name: "a damaged file system", pattern: /EXT4-fs error/ },
  { name: "an I/O error", pattern: /I\/O error/ },
  { name: "a hanging task", pattern: /blocked for more than \d+ seconds/ },
  { name: "a hanging processor", pattern: /soft lockup/ },
  { name: "too little memory", pattern: /Out of memory: Killed/ },
  { name: "a crashed program", pattern: /segfault at [0-9a-f]/ },
  { name: "systemd giving up", pattern: /Freezing execution/ },
  { name: "emergency mode", pattern: /emergency mode/i },
  { name: "rescue mode", pattern: /rescue mode/i },
  { name: "a failed unit", pattern: /\[ *FAILED *\]/ },
  { name: "a unit missing another", pattern: /\[ *DEPEND *\]/ },
  { name: "a failed unit", pattern: /Failed to start / },
  { name: "a file system that was not mounted", pattern: /Failed to mount / },
  {
    name: "a missing device",
    pattern: /Timed out waiting for device/,
  },
];

/** The parts of a boot that the console shows, in order. */
export const consoleMilestones = [
  {
    name: "kernel",
    pattern: /Linux version \d|^\[ *\d+\.\d{6}\] /,
  },
  {
    name: "systemd",
    pattern: /\bsystemd\[1\]: |^Welcome to .*Linux|\[ *OK *\] /,
  },
] as const;

/** The kernel's last words before the machine is off. Of level "emergency": `quiet` hides all but those. */
export const powerDownPattern = /reboot: Power down/;
