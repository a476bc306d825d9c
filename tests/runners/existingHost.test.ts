/** A machine that exists: set up by the real engine over the real ssh, changed, and left. */

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { projectPath } from "../../infra/projectPaths.ts";
import { setupScript } from "../../infra/runners/hostSetup.ts";
import { runnerHostsConfigSchema } from "../../infra/runners/runnerHostsConfig.ts";
import { TestGitlab } from "../doubles/gitlab/testGitlab.ts";
import { requireSuccess, TestProgram } from "../doubles/program.ts";
import { sampleRunners } from "./sampleHosts.ts";
import { ScratchMachine } from "./scratchMachine.ts";

// Each brings a stack up.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const gitlabUrl = "https://gitlab.example";

let directory: string;
let machine: ScratchMachine;
let gitlab: TestGitlab;
let program: TestProgram;
/** The key that gitlab-runner is signed with. */
let fingerprint: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "existing-host-"));
  const gpg = (...args: string[]) =>
    execa("gpg", ["--homedir", directory, "--batch", ...args]);
  await gpg("--passphrase", "", "--quick-gen-key", "gitlab", "ed25519", "sign");
  const { stdout } = await gpg("--with-colons", "--list-keys");
  fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(stdout)?.[1] ?? "";
  machine = await ScratchMachine.start(
    (await gpg("--armor", "--export")).stdout,
  );
  gitlab = await TestGitlab.create();
  program = await TestProgram.create(gitlab.env);
});

afterAll(async () => {
  await execa("gpgconf", ["--homedir", directory, "--kill", "all"]);
  await program?.[Symbol.asyncDispose]();
  await gitlab?.[Symbol.asyncDispose]();
  await machine?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function host(changes: object = {}) {
  return {
    ...{ kind: "existing", runners: ["release-amd64", "release-arm64"] },
    ...{ address: "127.0.0.1", port: machine.port, concurrent: 2 },
    ...{ hostKey: machine.hostKey, privateKey: machine.privateKey },
    archive: { key: fingerprint },
    ...changes,
  };
}

/** A program that declares GitLab, its runners and the machine. */
async function declare(hosts: object): Promise<void> {
  const config = {
    ...{ url: gitlabUrl, group: 42, image: { path: "images" } },
    runners: sampleRunners,
  };
  await program.write(`
import { declareGitlab } from "${projectPath("infra/gitlabProgram.ts")}";
import { gitlabConfigSchema } from "${projectPath("infra/gitlab/gitlabConfig.ts")}";
import { declareRunnerHosts } from "${projectPath("infra/runnersProgram.ts")}";
import { runnerHostsConfigSchema } from "${projectPath("infra/runners/runnerHostsConfig.ts")}";
const config = gitlabConfigSchema.parse(${JSON.stringify(config)});
const hosts = runnerHostsConfigSchema.parse(${JSON.stringify(hosts)});
await declareRunnerHosts(hosts, config, declareGitlab(config));
`);
}

function tokens(): readonly string[] {
  return Object.values(gitlab.things("UserRunner")).map(({ token }) =>
    String(token),
  );
}

function tokenOf(runner: string): string {
  const found = Object.values(gitlab.things("UserRunner")).find(
    ({ description }) => description === runner,
  );
  return String(found?.token);
}

async function stateText(): Promise<string> {
  const backend = join(program.directory, "backend");
  const names = await readdir(backend, { recursive: true });
  const texts = await Promise.all(
    names
      .filter((name) => name.includes(".json"))
      .map((name) => readFile(join(backend, name), "utf8")),
  );
  return texts.join("\n");
}

/** The script that the machine was given, for other settings of its host. */
function scriptFor(changes: object = {}): string {
  const config = runnerHostsConfigSchema.parse({ builder: host() }).builder;
  if (config === undefined) throw new Error("There is no host.");
  return setupScript({
    ...{ name: "builder", gitlabUrl, config: { ...config, ...changes } },
    architectures: ["amd64", "arm64"],
    tokens: { kind: "existing" },
  });
}

/** That script with the runners' tokens, and its run. */
function setUpAgain(changes: object = {}): string {
  const given = JSON.stringify({
    "release-amd64": tokenOf("release-amd64"),
    "release-arm64": tokenOf("release-arm64"),
  });
  return `${scriptFor(changes)}\nmain <<'END'\n${given}\nEND\n`;
}

/** Has a script see a machine of that size. */
function sized(cores: number, memoryMiB: number, script: string): string {
  return `
printf '#!/bin/sh\necho ${cores}\n' >/usr/local/sbin/nproc
chmod 755 /usr/local/sbin/nproc
printf 'MemFree: 1 kB\nMemTotal: %d kB\n' ${memoryMiB * 1024} >/tmp/meminfo
mount --bind /tmp/meminfo /proc/meminfo
trap 'umount /proc/meminfo; rm /usr/local/sbin/nproc' EXIT
${script}`;
}

/** What each run does. */
const loadFence = "nft --file /etc/cloud-images/fence.nft";

async function callsBesideApt(): Promise<readonly string[]> {
  const calls = await machine.newCalls();
  return calls.filter((call) => !call.startsWith("apt-get "));
}

test("nothing is done on a machine that has another key", async () => {
  const [kind, key = ""] = machine.hostKey.split(" ");
  const other = `${kind} ${key.slice(0, -6)}AAAAAA`;
  await declare({ builder: host({ hostKey: other }) });
  const up = await program.up();
  expect(up.exitCode).not.toBe(0);
  expect(up.output).toMatch(/host key/i);
  expect(await machine.newCalls()).toEqual([]);
});

test("gitlab-runner is not taken from whom another key signs", async () => {
  const key = "0".repeat(40);
  await declare({ builder: host({ archive: { key } }) });
  const up = await program.up();
  expect(up.exitCode).not.toBe(0);
  expect(up.output).toContain(
    `https://packages.gitlab.com/gpg.key has no key ${key}.`,
  );
  for (const token of tokens()) expect(up.output).not.toContain(token);
  const calls = await machine.newCalls();
  expect(calls.join("\n")).not.toMatch(/ gitlab-runner$/m);
  // Whoever starts gitlab-runner, the fence is there.
  expect(calls).toContain(loadFence);
  expect(calls).toContain("enable --now cloud-images-fence.service");
});

test("a token that GitLab does not know is told, without the token", async () => {
  await declare({ builder: host() });
  await machine.acceptTokens([]);
  const up = await program.up();
  expect(up.exitCode).not.toBe(0);
  expect(up.output).toContain(
    "GitLab does not know a token of this machine's runners",
  );
  expect(tokens()).toHaveLength(3);
  for (const token of tokens()) expect(up.output).not.toContain(token);
  await machine.newCalls();
});

test("it is set up, with everything that builds need", async () => {
  await machine.acceptTokens(tokens());
  requireSuccess(await program.up());
  expect(
    await machine.read("etc/gitlab-runner/config.toml"),
  ).toBe(`concurrent = 2
check_interval = 3

[[runners]]
  name = "release-amd64 on builder"
  url = "${gitlabUrl}"
  token = "${tokenOf("release-amd64")}"
  executor = "shell"
  shell = "bash"

[[runners]]
  name = "release-arm64 on builder"
  url = "${gitlabUrl}"
  token = "${tokenOf("release-arm64")}"
  executor = "shell"
  shell = "bash"
`);
  expect(await machine.read("etc/subuid")).toBe("gitlab-runner:100000:65536\n");
  expect(await machine.read("etc/subgid")).toBe("gitlab-runner:100000:65536\n");
  expect(await machine.read("etc/group")).toMatch(/^kvm:x:105:gitlab-runner$/m);
  expect(await machine.read("etc/apt/mirrors/debian.list")).toBe(
    "http://deb.debian.org/debian\n",
  );
  expect(
    await machine.read("etc/apt/sources.list.d/gitlab-runner.sources"),
  ).toContain("Suites: trixie\n");
  const { output } = await machine.run(
    "ls -A /home/gitlab-runner; ls /run/enabled",
  );
  expect(output).not.toContain(".bash_logout");
  expect(output).toContain(
    "cloud-images-clean-up.timer\ncloud-images-fence.service\n",
  );
});

test("it keeps itself up to date, its logs short, and its packages at hand", async () => {
  const { output: settings } = await machine.run(
    "apt-config dump --format '%f=%v%n' | grep --extended-regexp '^(APT::Periodic::|Acquire::https?::Proxy)' | sort",
  );
  expect(settings.split("\n")).toEqual([
    "APT::Periodic::AutocleanInterval=7",
    "APT::Periodic::Unattended-Upgrade=1",
    "APT::Periodic::Update-Package-Lists=1",
    "Acquire::http::Proxy=http://127.0.0.1:3142",
    "Acquire::https::Proxy=DIRECT",
  ]);
  expect(
    (await machine.read("etc/apt-cacher-ng/zz_cloud_images.conf")).split("\n"),
  ).toEqual(expect.arrayContaining(["BindAddress: 127.0.0.1", "Port: 3142"]));
  expect(
    await machine.read("etc/systemd/journald.conf.d/cloud-images.conf"),
  ).toBe("[Journal]\nSystemMaxUse=500M\nMaxRetentionSec=1month\n");
  const { output: enabled } = await machine.run("ls /run/enabled");
  expect(enabled.split("\n")).toEqual(
    expect.arrayContaining([
      ...["apt-cacher-ng", "apt-daily-upgrade.timer", "apt-daily.timer"],
      ...["gitlab-runner", "logrotate.timer"],
    ]),
  );
});

test("systemd takes its units", async () => {
  const units = "etc/systemd/system";
  const { stdout, stderr } = await execa(
    "systemd-analyze",
    [
      ...["verify", "--man=no", "--recursive-errors=no"],
      ...["cloud-images-fence.service", "cloud-images-clean-up.timer"].map(
        (name) => machine.path(join(units, name)),
      ),
    ],
    { reject: false },
  );
  // What they start is there, not here.
  const complaints = `${stdout}\n${stderr}`
    .split("\n")
    .filter(
      (line) =>
        line !== "" &&
        !/is not executable|Failed to (?:prepare|create)/.test(line),
    );
  expect(complaints).toEqual([]);
});

test("no secret is in the state, or on a command line", async () => {
  const shown = await program.pulumi("stack", "export");
  const text = (await stateText()) + shown.output;
  const secrets = [...tokens(), machine.privateKey.split("\n")[2] as string];
  for (const secret of secrets) expect(text).not.toContain(secret);
  const calls = await machine.newCalls();
  expect(calls).toContain("gitlab-runner verify");
  for (const secret of secrets) expect(calls.join("\n")).not.toContain(secret);
});

test("nothing changes when nothing has", async () => {
  requireSuccess(await program.up("--expect-no-changes"));
  expect(await machine.newCalls()).toEqual([]);
  const list = "find /etc /usr/local -type f -printf '%p %T@ %m\\n' | sort";
  const before = await machine.run(list);
  const again = await machine.run(
    `${setUpAgain()}echo "changed: \${#CHANGED[@]}"\n`,
  );
  expect(again).toEqual({ exitCode: 0, output: "changed: 0" });
  expect((await machine.run(list)).output).toBe(before.output);
  expect(await callsBesideApt()).toEqual([loadFence, "gitlab-runner verify"]);
  // As if a run had ended between writing what services read and telling them.
  // And apt's own timer is at the lists.
  await machine.run("rm -r /var/lib/cloud-images; touch /run/lists-locked");
  const mended = await machine.run(setUpAgain());
  expect(mended.exitCode).toBe(0);
  expect(mended.output).toContain("Could not get lock");
  expect(await callsBesideApt()).toEqual([
    ...[loadFence, "restart apt-cacher-ng", "restart systemd-journald"],
    "gitlab-runner verify",
  ]);
});

test.each([
  ["two cores and 4 GiB", 2, 4 * 1024, 1],
  ["one core and 1 GiB", 1, 1024, 1],
  ["four cores and 16 GiB", 4, 16 * 1024, 2],
  ["many cores and little memory", 32, 8 * 1024, 2],
  ["few cores and much memory", 5, 64 * 1024, 2],
  ["less than the last job takes", 8, 4 * 3584 - 1, 3],
  ["just what the last job takes", 8, 4 * 3584, 4],
])("%s run so many jobs at once", async (_size, cores, memoryMiB, jobs) => {
  const script = `${scriptFor({ concurrent: "auto" })}\ncount_jobs`;
  expect(await machine.run(sized(cores, memoryMiB, script))).toEqual({
    exitCode: 0,
    output: String(jobs),
  });
});

test("every runner has the cache of its host, and as many jobs as fit", async () => {
  const changes = {
    ...{ concurrent: "auto", region: "eu-north-1" },
    cache: { bucket: "merge-cache" },
  };
  const { exitCode } = await machine.run(
    sized(4, 16 * 1024, setUpAgain(changes)),
  );
  expect(exitCode).toBe(0);
  const { stdout } = await execa(
    "/usr/bin/python3",
    [
      "-c",
      "import json, sys, tomllib; json.dump(tomllib.load(sys.stdin.buffer), sys.stdout)",
    ],
    { input: await machine.read("etc/gitlab-runner/config.toml") },
  );
  const cache = {
    Type: "s3",
    s3: {
      ...{ AuthenticationType: "iam", ServerAddress: "s3.amazonaws.com" },
      ...{ BucketName: "merge-cache", BucketLocation: "eu-north-1" },
    },
  };
  expect(JSON.parse(stdout)).toMatchObject({
    concurrent: 2,
    runners: [
      { name: "release-amd64 on builder", executor: "shell", cache },
      { name: "release-arm64 on builder", executor: "shell", cache },
    ],
  });
  expect(await callsBesideApt()).toEqual([loadFence, "gitlab-runner verify"]);
});

test("a change is made where the machine is, and no token is told", async () => {
  await declare({
    builder: host({ concurrent: 7, runners: ["release-arm64"] }),
  });
  const preview = await program.pulumi("preview", "--diff");
  requireSuccess(preview);
  const up = await program.up();
  requireSuccess(up);
  for (const token of tokens()) {
    expect(preview.output + up.output).not.toContain(token);
  }
  const config = await machine.read("etc/gitlab-runner/config.toml");
  expect(config).toMatch(/^concurrent = 7$/m);
  expect(config).not.toContain("release-amd64");
  expect(await callsBesideApt()).toEqual([loadFence, "gitlab-runner verify"]);
});

test("caches make room, and younger ones do not", async () => {
  const { output: cleaner } = await machine.run(
    "cat /usr/local/sbin/cloud-images-clean-up",
  );
  const made = "/home/gitlab-runner/builds/a/0/team/images";
  const prepare = `
    mkdir -p ${made}/.cache/build/old ${made}/src
    touch --date '30 days ago' ${made}/.cache/build/old/layer ${made}/src/kept
    touch ${made}/.cache/build/new`;
  await machine.run(prepare);
  await machine.run(cleaner.replace("> 70", "> 100"));
  expect((await machine.run(`ls ${made}/.cache/build/old`)).output).toBe(
    "layer",
  );
  const { exitCode, output } = await machine.run(
    cleaner.replace("> 70", "> -1"),
  );
  expect({ exitCode, output }).toEqual({ exitCode: 0, output: "" });
  const left = await machine.run(`cd ${made}; find . -type f | sort`);
  expect(left.output).toBe("./.cache/build/new\n./src/kept");
});

test("a host that is taken out leaves its machine without runners", async () => {
  await declare({});
  requireSuccess(await program.up());
  expect(await machine.newCalls()).toEqual([
    "gitlab-runner unregister --all-runners",
    "disable --now gitlab-runner",
    "disable --now cloud-images-clean-up.timer",
    "disable --now cloud-images-fence.service",
    "nft delete table inet cloud_images",
  ]);
  const { output } = await machine.run(
    "find /etc /usr/local -name '*cloud-images*' -o -name config.toml",
  );
  expect(output).toBe("");
});
