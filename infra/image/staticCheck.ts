/** What can be said of an image without booting it: that nothing of its build, and nobody's secret, stayed in it. */

import type { TreeEntry } from "./convert/fileTree.ts";
import { rootEntries } from "./convert/rootTree.ts";

/** Files that each machine has to make for itself: equal on all of them they would be no secret, or no identity. */
const machinesOwn = [
  /^etc\/ssh\/ssh_host_.*key/,
  /^var\/lib\/dbus\/machine-id$/,
  /^var\/lib\/systemd\/(random-seed|credential\.secret)$/,
];

/** What builds, and people who try something, leave behind. */
const leftovers = [
  /^usr\/sbin\/policy-rc\.d$/,
  /^var\/log\/fai$/,
  /^var\/lib\/apt\/lists\/.*(Packages|InRelease)/,
  /^(root|home\/[^/]+)\/\..*history$/,
  /^(root|home\/[^/]+)\/\.ssh\/authorized_keys/,
];

/**
 * Looks through the root file system of a raw disk.
 *
 * @param allowsEmptyPasswords whether accounts may be open to everybody, as in images to try
 * @returns a sentence for each thing that is wrong
 * @throws {BuildError} for a disk without a root file system.
 */
export async function staticProblems(
  raw: string,
  { allowsEmptyPasswords }: { readonly allowsEmptyPasswords: boolean },
): Promise<readonly string[]> {
  const problems: string[] = [];
  let hasMachineId = false;
  for await (const entry of rootEntries(raw)) {
    const path = `/${entry.path}`;
    const isFile = entry.kind === "file";
    if (machinesOwn.some((pattern) => pattern.test(entry.path))) {
      problems.push(`${path} is in the image, so that all machines have it.`);
    }
    if (leftovers.some((pattern) => pattern.test(entry.path))) {
      problems.push(`${path} was left in the image.`);
    }
    if (isFile && (entry.mode & 0o002) !== 0) {
      problems.push(`${path} can be written by everybody.`);
    }
    if (entry.path === "etc/machine-id") {
      hasMachineId = true;
      // systemd fills it at first boot: machine-id(5).
      const text = isFile ? (await textOf(entry)).trim() : "a link";
      if (text !== "" && text !== "uninitialized") {
        problems.push(`${path} is not empty, so that all machines have it.`);
      }
    }
    if (entry.path === "etc/shadow" && isFile) {
      const text = await textOf(entry);
      problems.push(...passwordProblems(text, allowsEmptyPasswords));
    }
  }
  return hasMachineId
    ? problems
    : [...problems, "There is no /etc/machine-id."];
}

/** What shadow(5) says of accounts that somebody could log in to. Pure. */
function passwordProblems(
  shadow: string,
  allowsEmptyPasswords: boolean,
): readonly string[] {
  return shadow.split("\n").flatMap((line) => {
    const [account = "", password = "*"] = line.split(":");
    if (password === "") {
      return allowsEmptyPasswords || account === ""
        ? []
        : [`The account ${account} has no password: everybody may log in.`];
    }
    return /^[!*]/.test(password)
      ? []
      : [`The account ${account} has a password, which all machines share.`];
  });
}

async function textOf(entry: TreeEntry & { kind: "file" }): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of entry.read()) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
