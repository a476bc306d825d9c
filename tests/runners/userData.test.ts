/** What machines are given, judged by the tools that read it. */

import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { projectPath } from "../../infra/projectPaths.ts";
import { listedPackages } from "../../infra/runners/hostPackages.ts";
import {
  type HostSetup,
  setupScript,
  type TokenSource,
} from "../../infra/runners/hostSetup.ts";
import {
  cloudConfig,
  encodedUserData,
  startupScript,
} from "../../infra/runners/userData.ts";

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "user-data-"));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

const sources: readonly TokenSource[] = [
  { kind: "ec2", name: "/cloud-images/prod/runners/a:1", region: "eu-north-1" },
  { kind: "gce", name: "projects/1/secrets/a/versions/1" },
  {
    kind: "azure",
    name: "https://v.vault.azure.net/secrets/r/1",
    identity: "i",
  },
  { kind: "existing" },
];

function setupFor(
  tokens: TokenSource,
  changes: Partial<HostSetup["config"]> = {},
): HostSetup {
  return {
    ...{ name: "a-host", gitlabUrl: "https://gitlab.example", tokens },
    architectures: ["amd64"],
    config: {
      ...{ kind: tokens.kind, runners: ["merge-amd64"], architecture: "amd64" },
      ...{ tests: true, concurrent: "auto", diskSharePercent: 70 },
      ...{ cache: { bucket: "cache" }, region: "eu-north-1" },
      archive: { url: "https://a.example/", keyUrl: "https://a/k", key: "0A" },
      ...changes,
    },
  };
}

/** cloud-init's own judgement. */
async function judged(text: string) {
  const file = join(directory, "user-data");
  await writeFile(file, text);
  return execa(
    "/usr/bin/python3",
    ["-m", "cloudinit.cmd.main", "schema", "--config-file", file],
    {
      ...{ all: true, reject: false },
      env: {
        PYTHONPATH: projectPath(
          ".tools/unpacked/usr/lib/python3/dist-packages",
        ),
        PYTHONDONTWRITEBYTECODE: "1",
      },
    },
  );
}

test.each(sources)("cloud-init takes that for $kind", async (tokens) => {
  const { exitCode, all } = await judged(
    cloudConfig(setupScript(setupFor(tokens))),
  );
  expect(all).toContain("Valid");
  expect(exitCode).toBe(0);
});

test("cloud-init would say what is wrong", async () => {
  const text = cloudConfig("true").replace("permissions:", "permission:");
  const { exitCode, all } = await judged(text.replace("- path:", "- paths:"));
  expect(all).toMatch(/paths|path' is a required/);
  expect(exitCode).not.toBe(0);
});

test.each(sources)("the script for $kind is clean", async (tokens) => {
  const file = join(directory, `${tokens.kind}.sh`);
  await writeFile(file, startupScript(setupScript(setupFor(tokens))));
  await execa("bash", ["-n", file]);
  // A pattern that is meant as one, and a file of each machine's own.
  await execa("shellcheck", ["--exclude", "SC2053,SC1091", file]);
});

test("the steps, the removal and the machine of tests are clean, each for itself", async () => {
  const directories = ["infra/runners/setup", "tests/runners/machine"];
  const files = directories.flatMap((each) =>
    readdirSync(projectPath(each)).map((name) => `${each}/${name}`),
  );
  expect(files).toContain("infra/runners/setup/remove.sh");
  await execa("shellcheck", files, { cwd: projectPath(".") });
});

test("cloud-init writes the very script that a machine that exists runs", () => {
  const script = setupScript(setupFor({ kind: "existing" }));
  const { write_files } = parse(cloudConfig(script)) as {
    write_files: { content: string }[];
  };
  expect(write_files[0]?.content).toBe(startupScript(script));
  expect(startupScript(script).startsWith(`${script}\n`)).toBe(true);
});

test("what fails in the cloud is tried again until it succeeds, and never goes on after an error", async () => {
  const file = join(directory, "again.sh");
  const log = join(directory, "again.log");
  const script = [
    "set -euo pipefail",
    // Stands for the minute between two times.
    `sleep() { echo "sleep $1" >>${log}; }`,
    "main() {",
    `  echo begun >>${log}`,
    `  [[ "$(grep --count begun ${log})" == 3 ]]`,
    `  echo done >>${log}`,
    "}",
  ].join("\n");
  await writeFile(file, startupScript(script));
  await execa("bash", [file]);
  const pause = ["begun", "sleep 60"];
  expect((await readFile(log, "utf8")).split("\n")).toEqual([
    ...[...pause, ...pause, "begun", "done", ""],
  ]);
});

test("everything that builds need is installed, and what emulates other architectures", () => {
  const packagesOf = (setup: HostSetup) =>
    /^PACKAGES=\((.*)\)$/m.exec(setupScript(setup))?.[1]?.split(" ") ?? [];
  const own = packagesOf(setupFor({ kind: "existing" }, { tests: false }));
  for (const name of listedPackages("up", "amd64")) expect(own).toContain(name);
  expect(own).toEqual(
    expect.arrayContaining(["apt-cacher-ng", "grub-pc-bin", "nftables"]),
  );
  expect(own).not.toContain("chromium");
  expect(own).not.toContain("qemu-user-static");
  const tested = packagesOf(setupFor({ kind: "existing" }));
  for (const name of listedPackages("test", "amd64")) {
    expect(tested).toContain(name);
  }
  const foreign = packagesOf({
    ...setupFor({ kind: "existing" }, { architecture: "arm64" }),
    architectures: ["arm64", "riscv64"],
  });
  expect(foreign).toEqual(
    expect.arrayContaining([
      ...["qemu-efi-aarch64", "qemu-system-riscv64", "qemu-user-static"],
    ]),
  );
  expect(foreign).not.toContain("grub-pc-bin");
});

test("values of the configuration are words of bash, whatever is in them", async () => {
  const file = join(directory, "quoted.sh");
  const gitlabUrl = "https://gitlab.example/$(touch /nowhere)'`;x";
  const script = setupScript({ ...setupFor({ kind: "existing" }), gitlabUrl });
  await writeFile(file, `${script}\nprintf %s "$GITLAB_URL"\n`);
  const { stdout } = await execa("bash", [file]);
  expect(stdout).toBe(gitlabUrl);
});

test("user data is compressed where it has to be, and refused where that does not help", () => {
  const small = Buffer.from(encodedUserData("a", "small", 100), "base64");
  expect(small.toString()).toBe("small");
  const long = "long ".repeat(1000);
  const packed = Buffer.from(encodedUserData("a", long, 200), "base64");
  expect(packed.length).toBeLessThan(200);
  expect(gunzipSync(packed).toString()).toBe(long);
  expect(() => encodedUserData("a", long, 20)).toThrow(
    /^cloud-images:runnerHosts\.a makes user data of \d+ bytes, and its cloud takes 20\./,
  );
});

test("the largest user data fits into EC2", () => {
  const names = Array.from({ length: 20 }, (_, index) => `merge-${index}`);
  const text = cloudConfig(
    setupScript({
      ...setupFor(sources[0] as TokenSource, { runners: names }),
      architectures: ["amd64", "arm64", "ppc64el", "riscv64"],
    }),
  );
  expect(encodedUserData("a", text, 16 * 1024)).toMatch(/^[A-Za-z0-9+/]+=*$/);
});
