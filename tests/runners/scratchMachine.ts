/**
 * A machine that exists, for a test: a root directory with this machine's programs and own settings, users and state, in which
 * a real sshd lets root in by a key. What would reach the internet or systemd is stood for by scripts in machine/.
 */

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { projectPath } from "../../infra/projectPaths.ts";
import { freePort } from "../servers/freePort.ts";

/** Programs of the machine's own, before all others. */
const programs = ["apt-get", "systemctl", "gitlab-runner", "curl", "nft"];

/** How long sshd may take to come up. */
const patienceMilliseconds = 20_000;

export class ScratchMachine implements AsyncDisposable {
  readonly port: number;
  /** Of the machine, as its configuration has it. */
  readonly hostKey: string;
  readonly privateKey: string;
  readonly #directory: string;
  readonly #sshd: ChildProcess;

  private constructor(
    directory: string,
    port: number,
    keys: Pick<ScratchMachine, "hostKey" | "privateKey">,
    sshd: ChildProcess,
  ) {
    this.#directory = directory;
    this.port = port;
    this.hostKey = keys.hostKey;
    this.privateKey = keys.privateKey;
    this.#sshd = sshd;
  }

  /** @param key that GitLab's archive is signed with, armored */
  static async start(key: string): Promise<ScratchMachine> {
    const directory = await mkdtemp(join(tmpdir(), "scratch-machine-"));
    const root = join(directory, "root");
    const keys = await fill(root, directory, key);
    const port = await freePort();
    const sshd = spawn(
      "unshare",
      [
        ...["--user", "--map-root-user", "--map-auto", "--mount", "--pid"],
        ...["--fork", "--kill-child", "--"],
        ...[projectPath("tests/runners/machine/boot.sh"), root],
        ...[projectPath(".tools/unpacked"), String(port)],
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    sshd.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const machine = new ScratchMachine(directory, port, keys, sshd);
    const end = Date.now() + patienceMilliseconds;
    while (!(await answers(port))) {
      if (sshd.exitCode !== null || Date.now() > end) {
        await machine[Symbol.asyncDispose]();
        throw new Error(`sshd did not come up:\n${said}`);
      }
      await sleep(100);
    }
    return machine;
  }

  path(path: string): string {
    return join(this.#directory, "root", path);
  }

  read(path: string): Promise<string> {
    return readFile(this.path(path), "utf8");
  }

  /** What was asked of apt, systemd and gitlab-runner since the last time. */
  async newCalls(): Promise<readonly string[]> {
    const text = await this.read("var/log/calls").catch(() => "");
    await writeFile(this.path("var/log/calls"), "");
    return text.split("\n").filter((line) => line !== "");
  }

  /** Runs bash there, as root. @param input what it reads */
  async run(input: string): Promise<{ exitCode: number; output: string }> {
    const key = join(this.#directory, "login");
    const knownHosts = join(this.#directory, "known-hosts");
    await writeFile(knownHosts, `[127.0.0.1]:${this.port} ${this.hostKey}\n`);
    const { exitCode = -1, all } = await execa(
      "ssh",
      [
        ...["-F", "none", "-T", "-i", key, "-p", String(this.port)],
        ...["-o", `UserKnownHostsFile=${knownHosts}`, "root@127.0.0.1"],
        ...["--", "/bin/bash", "-s"],
      ],
      { input, all: true, reject: false },
    );
    return { exitCode, output: all };
  }

  /** Has GitLab know these tokens, and no others. */
  async acceptTokens(tokens: readonly string[]): Promise<void> {
    await writeFile(this.path("root/good-tokens"), tokens.join("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#sshd.exitCode === null && this.#sshd.signalCode === null) {
      const ended = once(this.#sshd, "exit");
      this.#sshd.kill("SIGKILL");
      await ended;
    }
    // Some of it belongs to users of the machine.
    await execa("unshare", [
      ...["--user", "--map-root-user", "--map-auto"],
      ...["rm", "-rf", join(this.#directory, "root")],
    ]);
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = createConnection({ host: "127.0.0.1", port });
  try {
    await once(socket, "data");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Settings, users and keys of the machine. */
async function fill(
  root: string,
  directory: string,
  gitlabKey: string,
): Promise<Pick<ScratchMachine, "hostKey" | "privateKey">> {
  for (const each of [
    ...["etc/ssh", "etc/apt/sources.list.d", "etc/apt/mirrors", "root/.ssh"],
    ...["var/log", "var/cache/apt-cacher-ng", "programs/sbin"],
  ]) {
    await mkdir(join(root, each), { recursive: true });
  }
  for (const name of programs) {
    await cp(
      projectPath(`tests/runners/machine/${name}`),
      join(root, "programs/sbin", name),
    );
  }
  // Names such as awk lead there.
  await cp("/etc/alternatives", join(root, "etc/alternatives"), {
    ...{ recursive: true, verbatimSymlinks: true },
  });
  const login = join(directory, "login");
  const host = join(root, "etc/ssh/host-key");
  for (const file of [login, host]) {
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
  }
  const files = {
    "etc/passwd":
      "root:x:0:0::/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n",
    "etc/shadow": "root:*:20000::::::\nsshd:!:20000::::::\n",
    "etc/group": "root:x:0:\nusers:x:100:\nkvm:x:105:\nnogroup:x:65534:\n",
    "etc/gshadow": "root:*::\nusers:*::\nkvm:!::\nnogroup:*::\n",
    "etc/login.defs": "UID_MIN 1000\nSYS_UID_MIN 100\nSYS_UID_MAX 999\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\n",
    "etc/os-release": "VERSION_CODENAME=trixie\n",
    "etc/environment": "",
    "etc/apt/mirrors/debian.list": "https://deb.debian.org/debian\n",
    "etc/ssh/sshd_config": [
      "ListenAddress 127.0.0.1",
      "HostKey /etc/ssh/host-key",
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "SetEnv PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
      "",
    ].join("\n"),
    "root/.ssh/authorized_keys": await readFile(`${login}.pub`, "utf8"),
    "root/gitlab.key": gitlabKey,
  };
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(root, name), text);
  }
  const [kind, key] = (await readFile(`${host}.pub`, "utf8")).split(" ");
  return {
    hostKey: `${kind} ${key}`,
    privateKey: await readFile(login, "utf8"),
  };
}
