import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import { staticProblems } from "../../infra/image/staticCheck.ts";
import {
  changeFileSystem,
  makeDisk,
  mke2fsArguments,
  mke2fsEnvironment,
  withDirectory,
} from "./convert/disks.ts";

const shadow = "root:*:20000:0:99999:7:::\ndaemon:!:20000:0:99999:7:::\n";
const good: Readonly<Record<string, string>> = {
  "etc/machine-id": "",
  "etc/shadow": shadow,
  "etc/ssh/sshd_config": "",
  "root/.bashrc": "",
};

/** What is said of an image with these files. */
function problemsOf(
  changes: Readonly<Record<string, string | undefined>>,
  {
    allowsEmptyPasswords = false,
    commands = [],
  }: {
    readonly allowsEmptyPasswords?: boolean;
    readonly commands?: readonly string[];
  } = {},
): Promise<readonly string[]> {
  return withDirectory(async (directory) => {
    const { path } = await makeDisk(directory, []);
    const tree = join(directory, "tree");
    for (const [name, text] of Object.entries({ ...good, ...changes })) {
      if (text === undefined) continue;
      await mkdir(dirname(join(tree, name)), { recursive: true });
      await writeFile(join(tree, name), text);
    }
    await execa("mke2fs", [...mke2fsArguments(tree), path, "5632"], {
      env: mke2fsEnvironment,
    });
    await rm(tree, { recursive: true });
    await changeFileSystem(directory, path, commands);
    return staticProblems(path, { allowsEmptyPasswords });
  });
}

it("finds nothing in an image that each machine makes its own", async () => {
  expect(await problemsOf({})).toEqual([]);
  expect(await problemsOf({ "etc/machine-id": "uninitialized\n" })).toEqual([]);
});

it.each([
  "etc/ssh/ssh_host_ed25519_key",
  "etc/ssh/ssh_host_rsa_key.pub",
  "var/lib/systemd/random-seed",
  "var/lib/dbus/machine-id",
])("finds /%s, which would be the same on all machines", async (name) => {
  expect(await problemsOf({ [name]: "1" })).toEqual([
    `/${name} is in the image, so that all machines have it.`,
  ]);
});

it.each([
  "usr/sbin/policy-rc.d",
  "root/.bash_history",
  "root/.ssh/authorized_keys",
  "var/log/fai",
])("finds /%s, which somebody left", async (name) => {
  expect(await problemsOf({ [name]: "1" })).toEqual([
    `/${name} was left in the image.`,
  ]);
});

it("asks for a machine id that is there and empty", async () => {
  expect(await problemsOf({ "etc/machine-id": "0123abcd\n" })).toEqual([
    "/etc/machine-id is not empty, so that all machines have it.",
  ]);
  expect(await problemsOf({ "etc/machine-id": undefined })).toEqual([
    "There is no /etc/machine-id.",
  ]);
});

it("lets nobody in by password, but in images to try those who need none", async () => {
  const open = { "etc/shadow": "root::20000::::::\n" };
  const hashed = { "etc/shadow": "root:$y$j9T$abc$def:20000::::::\n" };
  expect(await problemsOf(open)).toEqual([
    "The account root has no password: everybody may log in.",
  ]);
  expect(await problemsOf(open, { allowsEmptyPasswords: true })).toEqual([]);
  for (const allowsEmptyPasswords of [false, true]) {
    expect(await problemsOf(hashed, { allowsEmptyPasswords })).toEqual([
      "The account root has a password, which all machines share.",
    ]);
  }
});

it("finds files that everybody can write", async () => {
  const commands = ["sif /etc/shadow mode 0100666"];
  expect(await problemsOf({}, { commands })).toEqual([
    "/etc/shadow can be written by everybody.",
  ]);
});
