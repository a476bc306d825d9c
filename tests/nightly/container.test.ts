/**
 * The container of jobs, made by its own recipe, and jobs in it: by podman as it is, with nothing allowed to them that other
 * containers are not. Where Node and the engine have to be built, this takes a quarter of an hour; `scripts/test nightly` runs it.
 */

import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { isGood, parseReport } from "../../infra/pipeline/imageReport.ts";
import { projectDirectory } from "../../infra/projectPaths.ts";

const minutes = 60_000;
const base = "docker.io/library/debian:trixie";
const image = "localhost/jobs:1";
const definition = "debian-13-genericcloud-amd64";
const checkoutInside = "/builds/team/images";

/** Limits of this process are those of containers: not everybody may raise them. */
const containersConf = `[containers]
cgroups = "disabled"
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
`;

/** How this machine reaches package registries, as far as programs do not know it themselves: a container has to do as it does. */
const ownFiles = ["/etc/ssl/certs", "/etc/pip.conf", "/etc/npmrc"].filter(
  existsSync,
);
const ownVariables = Object.entries(process.env).filter(([name]) =>
  /^(https?_proxy|no_proxy|goproxy|node_extra_ca_certs)$/i.test(name),
);

/** Containers of the test's own, with their images; gone with its directory. */
class Containers {
  readonly #directory: string;
  readonly #sandbox: readonly string[];

  constructor(directory: string) {
    this.#directory = directory;
    // crun refuses a machine whose controllers are divided between both versions of control groups.
    const divided = "/sys/fs/cgroup/unified";
    this.#sandbox = existsSync(divided)
      ? [
          ...["unshare", "--mount", "--propagation", "private"],
          ...["sh", "-c", `umount ${divided} && exec "$@"`, "sh"],
        ]
      : [];
  }

  /** @returns everything that was printed */
  async podman(...args: string[]): Promise<string> {
    const [program = "", ...rest] = [
      ...this.#sandbox,
      ...["podman", "--root", join(this.#directory, "storage")],
      ...["--runroot", join(this.#directory, "state")],
      ...args,
    ];
    const { all, exitCode } = await execa(program, rest, {
      all: true,
      reject: false,
      env: { CONTAINERS_CONF: join(this.#directory, "containers.conf") },
    });
    if (exitCode !== 0) throw new Error(`podman ${args.join(" ")}:\n${all}`);
    return all;
  }

  /** Runs a job's script as a runner does: in a container of its own that sees the checkout. */
  job(checkout: string, script: string): Promise<string> {
    return this.podman(
      ...["run", "--rm", "--volume", `${checkout}:${checkoutInside}`],
      ...["--workdir", checkoutInside, image],
      ...["bash", "-euo", "pipefail", "-c", script],
    );
  }
}

/** Debian's own image cannot be had everywhere, and has no more in it than this. */
async function importBase(containers: Containers, directory: string) {
  const archive = join(directory, "base.tar");
  await execa("mmdebstrap", [
    ...["--variant=minbase", "--include=ca-certificates"],
    ...ownFiles.map(
      (path) => `--customize-hook=copy-in ${path} ${dirname(path)}`,
    ),
    ...["trixie", archive],
  ]);
  const changes = ownVariables.flatMap(([name, value]) => [
    "--change",
    `ENV ${name}=${value}`,
  ]);
  await containers.podman("import", ...changes, archive, base);
  await rm(archive);
}

/** A clone, as the helper of a runner leaves it: root's, and everybody may write. */
async function checkOut(directory: string): Promise<string> {
  const checkout = join(directory, "checkout");
  const { stdout } = await execa(
    "git",
    ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
    { cwd: projectDirectory },
  );
  for (const path of stdout.split("\0").filter((each) => each !== "")) {
    const from = join(projectDirectory, path);
    if (existsSync(from)) await cp(from, join(checkout, path));
  }
  await execa("chmod", ["--recursive", "a+rwX", checkout]);
  return checkout;
}

describe.skipIf(process.getuid?.() !== 0)(
  "the container of jobs",
  { timeout: 60 * minutes },
  () => {
    let directory = "";
    let checkout = "";
    let containers: Containers;

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "containers-"));
      await mkdir(join(directory, "storage"));
      await writeFile(join(directory, "containers.conf"), containersConf);
      containers = new Containers(directory);
      checkout = await checkOut(directory);
      await importBase(containers, directory);
    }, 10 * minutes);

    afterAll(() => rm(directory, { recursive: true, force: true }));

    it("is built by its recipe", async () => {
      await containers.podman(
        ...["build", "--pull-never", "--network", "host"],
        ...["--file", join(checkout, "scripts/ci-image/Containerfile")],
        ...["--build-arg", "LISTS=up test azurite"],
        ...["--tag", image, checkout],
      );
    });

    it("has a user without rights, who finds Node and the engine", async () => {
      const output = await containers.job(
        checkout,
        "id --user --name; grep ^CapEff: /proc/self/status; grep ^Seccomp: /proc/self/status; node --version; pulumi version",
      );
      expect(output).toMatch(
        /^builder\nCapEff:\t0+\nSeccomp:\t2\nv24[\d.]+\nv3[\d.]+$/m,
      );
    });

    it("checks style and runs tests, for which it has everything", async () => {
      const lint = await containers.job(
        checkout,
        "scripts/test --only-checks 2>&1",
      );
      expect(lint).not.toContain("Debian packages:");
      const tests = await containers.job(
        checkout,
        "scripts/test tests/pipeline/reach tests/runners/userData tests/store/azureBlobStore tests/store/s3Store 2>&1",
      );
      expect(tests).not.toContain("This will be installed");
      expect(tests).toMatch(/^\d+ passed, 0 failed$/m);
    });

    it("says which images a change reaches, and makes the pipeline that builds them", async () => {
      const output = await containers.job(
        checkout,
        "scripts/ci affected --all --child images.child.yml --tag merge --image jobs:1",
      );
      expect(output).toContain("All images were asked for.");
    });

    it("builds, boots and checks an image where nothing more is allowed than to other containers", async () => {
      const child = parse(
        await readFile(join(checkout, "images.child.yml"), "utf8"),
      ) as Record<string, { readonly script: readonly string[] }>;
      const [script = ""] = child[`build: ${definition}`]?.script ?? [];
      expect(script).toContain(`scripts/ci build ${definition}`);
      await containers.job(checkout, script);
      const report = join(checkout, ".state/jobs", definition, "report");
      const text = await readFile(join(report, "result.json"), "utf8");
      expect(isGood(parseReport(text)), text).toBe(true);
      expect(text).toContain('"boot check uefi-secure-boot"');
    });
  },
);
