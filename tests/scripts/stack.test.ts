import { spawn } from "node:child_process";
import {
  cp,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  exists,
  makeCheckout,
  makePath,
  makeReadyCheckout,
  project,
  readPin,
  run,
  runBash,
  writeFiles,
} from "./checkout.ts";

/** An engine that has one stack selected, and otherwise only prints its command line. */
const engine = `#!/bin/sh
[ "$*" = "stack --show-name" ] && { echo selected; exit; }
echo "pulumi $*"
`;

describe("the stack that a command line is about", () => {
  it.each([
    ["up --stack one", "one"],
    ["--stack=one preview", "one"],
    ["destroy -s one --yes", "one"],
    ["up --stack organization/cloud-images/one", "one"],
    ["stack init one", "one"],
    ["stack --non-interactive select one", "one"],
    ["stack output summary", "selected"],
    ["preview", "selected"],
  ])("%s: %s", async (line, stack) => {
    const PATH = await makePath({ pulumi: engine });
    const { stdout } = await runBash(
      await makeCheckout(),
      `choose_stack ${line}`,
      { PATH },
    );
    expect(stdout).toBe(stack);
  });

  it("is PULUMI_STACK where none is named", async () => {
    const environment = {
      PATH: await makePath({ pulumi: engine }),
      PULUMI_STACK: "two",
    };
    expect(
      (await runBash(await makeCheckout(), "choose_stack preview", environment))
        .stdout,
    ).toBe("two");
    expect(
      (
        await runBash(
          await makeCheckout(),
          "choose_stack preview -s one",
          environment,
        )
      ).stdout,
    ).toBe("one");
  });
});

describe("a command line that changes state", () => {
  it.each([
    "up",
    "up --yes",
    "--stack one destroy",
    "refresh",
    "import a b c",
    "state delete x",
    "stack rm one",
    "stack import",
  ])("%s", async (line) => {
    expect(
      (await runBash(await makeCheckout(), `changes_state ${line}`)).exitCode,
    ).toBe(0);
  });

  it.each([
    "preview",
    "up --help",
    "refresh --preview-only",
    "cancel",
    "stack output",
    "stack init one",
    "config set a up",
    "",
  ])("is not: %s", async (line) => {
    expect(
      (await runBash(await makeCheckout(), `changes_state ${line}`)).exitCode,
    ).toBe(1);
  });
});

describe("a command line that needs provider plugins", () => {
  it.each(["preview", "up --yes", "--stack one destroy", "refresh", "pre"])(
    "%s",
    async (line) => {
      expect(
        (await runBash(await makeCheckout(), `needs_plugins ${line}`)).exitCode,
      ).toBe(0);
    },
  );

  it.each(["preview --help", "login", "stack output", "config set a up", ""])(
    "is not: %s",
    async (line) => {
      expect(
        (await runBash(await makeCheckout(), `needs_plugins ${line}`)).exitCode,
      ).toBe(1);
    },
  );
});

describe("provider plugins", () => {
  /** A checkout with an engine that only prints its command line, and a stack that has a section of GitLab. */
  async function makeEngineCheckout(): Promise<string> {
    const checkout = await makeReadyCheckout({
      "Pulumi.mine.yaml": "config:\n  cloud-images:gitlab: {}\n",
    });
    await cp(join(project, "infra"), join(checkout, "infra"), {
      recursive: true,
    });
    const tools = join(checkout, ".tools");
    await rm(tools);
    await mkdir(tools);
    for (const name of await readdir(join(project, ".tools"))) {
      if (["plugins", "pulumi"].includes(name)) continue;
      await symlink(join(project, ".tools", name), join(tools, name));
    }
    const version = await readPin("engine.sh", "PULUMI_VERSION");
    await writeFiles(checkout, {
      ".tools/pulumi/version": version,
      ".tools/pulumi/bin/pulumi": engine,
    });
    return checkout;
  }

  it.each([
    ["the project's own backend", {}],
    ["a shared one", { PULUMI_BACKEND_URL: "s3://example-state" }],
  ])("are installed before the engine runs, with %s", async (_, env) => {
    const checkout = await makeEngineCheckout();
    const { all, stdout, exitCode } = await run(
      join(checkout, "scripts/pulumi"),
      ["preview", "--stack", "mine"],
      "/",
      { ...env, HOME: checkout },
    );
    const { version } = JSON.parse(
      await readFile(
        join(project, "node_modules/@pulumi/gitlab/package.json"),
        "utf8",
      ),
    ) as { version: string };
    expect(exitCode).toBe(0);
    expect(all).toContain(
      [
        `Installing the provider plugin gitlab ${version} …`,
        `pulumi plugin install resource gitlab v${version}`,
        "pulumi preview --stack mine",
      ].join("\n"),
    );
    // Whatever reads the engine's output gets nothing else.
    expect(stdout).toBe("pulumi preview --stack mine");
    expect(await exists(join(checkout, ".state/passphrase"))).toBe(
      !("PULUMI_BACKEND_URL" in env),
    );
  });

  it("are left alone, as is a shared backend, by what needs none", async () => {
    const checkout = await makeEngineCheckout();
    const { all } = await run(
      join(checkout, "scripts/pulumi"),
      ["stack", "ls"],
      "/",
      { PULUMI_BACKEND_URL: "s3://example-state", HOME: checkout },
    );
    expect(all).toBe("pulumi stack ls");
  });
});

describe("a stack's passphrase", () => {
  const show = `
    printf '%s ' "\${PULUMI_CONFIG_PASSPHRASE-unset}" "\${PULUMI_CONFIG_PASSPHRASE_FILE-unset}"`;

  it("is the empty one for local", async () => {
    const checkout = await makeCheckout();
    expect(
      (
        await runBash(checkout, `choose_passphrase local; ${show}`)
      ).stdout.trim(),
    ).toBe("unset");
    expect(await exists(join(checkout, ".state/passphrase"))).toBe(false);
  });

  it("is made once for every other stack, says so, and is for its owner's eyes only", async () => {
    const checkout = await makeCheckout();
    const file = join(checkout, ".state/passphrase");
    const first = await runBash(checkout, `choose_passphrase mine; ${show}`);
    expect(first.stdout.trim()).toBe(`unset ${file}`);
    expect(first.all).toContain(
      "Made a passphrase for this checkout's stacks in .state/passphrase.",
    );
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const passphrase = await readFile(file, "utf8");
    expect(passphrase.trim()).toHaveLength(44);
    const second = await runBash(checkout, `choose_passphrase mine; ${show}`);
    expect(second.all.trim()).toBe(`unset ${file}`);
    expect(await readFile(file, "utf8")).toBe(passphrase);
  });

  it.each([
    ["PULUMI_CONFIG_PASSPHRASE", "", "unset"],
    ["PULUMI_CONFIG_PASSPHRASE_FILE", "/secret", "unset /secret"],
  ])("is the user's own where %s is set", async (name, value, shown) => {
    const checkout = await makeCheckout();
    const { stdout } = await runBash(
      checkout,
      `choose_passphrase mine; ${show}`,
      { [name]: value },
    );
    expect(stdout.trim()).toBe(shown);
    expect(await exists(join(checkout, ".state/passphrase"))).toBe(false);
  });

  it("is not replaced by a new one for a stack that has secrets", async () => {
    const checkout = await makeCheckout({
      "Pulumi.prod.yaml": "encryptionsalt: v1:abc\n",
    });
    const { stdout } = await runBash(
      checkout,
      `choose_passphrase prod; ${show}`,
    );
    expect(stdout.trim()).toBe("unset unset");
    expect(await exists(join(checkout, ".state/passphrase"))).toBe(false);
  });
});

describe("the backend", () => {
  it("is a directory of the checkout, whatever characters its path has", async () => {
    const checkout = await makeCheckout();
    const { stdout } = await runBash(
      checkout,
      `use_project_environment; is_own_backend; echo "$PULUMI_BACKEND_URL"`,
    );
    expect(stdout).toBe(
      `file://${checkout.replaceAll(" ", "%20")}/.state/backend`,
    );
    expect(await exists(join(checkout, ".state/backend"))).toBe(true);
  });

  it("is the user's own where PULUMI_BACKEND_URL is set", async () => {
    const { exitCode, stdout } = await runBash(
      await makeCheckout(),
      `use_project_environment; echo "$PULUMI_BACKEND_URL"; is_own_backend`,
      { PULUMI_BACKEND_URL: "file:///elsewhere" },
    );
    expect(stdout).toBe("file:///elsewhere");
    expect(exitCode).toBe(1);
  });
});

describe("a stack that is held", () => {
  /** Starts a run that holds the stack and has a plugin of its own; gives the process ids of both. */
  async function startRun(
    checkout: string,
  ): Promise<{ holder: number; plugin: number }> {
    const child = spawn(
      "/bin/bash",
      [
        "-c",
        `. scripts/lib/setup.sh; . scripts/lib/stack.sh; hold_stack local; sleep 120 & echo $!; wait`,
      ],
      { cwd: checkout, stdio: ["ignore", "pipe", "inherit"], detached: true },
    );
    onTestFinished(() => endGroup(child.pid));
    const line = await new Promise<Buffer>((resolve) =>
      child.stdout.once("data", resolve),
    );
    return { holder: child.pid ?? 0, plugin: Number(line.toString()) };
  }

  function endGroup(leader: number | undefined): void {
    try {
      process.kill(-(leader ?? Number.NaN), "SIGKILL");
    } catch {
      // It has ended already.
    }
  }

  it("is refused to a second run, which names the first", async () => {
    const checkout = await makeCheckout();
    const { holder, plugin } = await startRun(checkout);
    const second = await runBash(checkout, "hold_stack local; echo got it");
    expect(second.exitCode).toBe(1);
    expect(second.stdout).toBe("");
    expect(second.all).toContain(
      `Error: Stack local is being changed by another run (process ${holder}), so this one did nothing.`,
    );
    process.kill(plugin, 0);
  });

  it("does not keep other stacks from being changed", async () => {
    const checkout = await makeCheckout();
    await startRun(checkout);
    expect(
      (await runBash(checkout, "hold_stack mine; echo got it")).stdout,
    ).toBe("got it");
  });

  it("is free again when its run was killed, and what that run left is ended", async () => {
    const checkout = await makeCheckout();
    const { holder, plugin } = await startRun(checkout);
    process.kill(holder, "SIGKILL");
    const second = await runBash(checkout, "hold_stack local; echo got it");
    expect(second.stdout).toBe("got it");
    expect(second.all).toContain(
      `The last run was killed: ending what it left (processes ${plugin})`,
    );
    const { stdout } = await run("ps", ["-o", "stat=", "-p", `${plugin}`], "/");
    // Where nothing reaps orphans, an ended one stays as a zombie.
    expect(stdout).toMatch(/^(Z.*)?$/);
  });

  it("is rid of the engine's own lock when the engine was killed, and only then", async () => {
    const checkout = await makeCheckout();
    const PATH = await makePath({ pulumi: engine });
    const lock =
      ".state/backend/.pulumi/locks/organization/cloud-images/local/1.json";
    await writeFiles(checkout, {
      [lock]: '{"pid":1,"username":"me","hostname":"elsewhere"}',
    });
    const { exitCode, all } = await runBash(checkout, "hold_stack local", {
      PATH,
    });
    expect(exitCode).toBe(0);
    expect(all).toContain("removing the lock that it left");
    const other = await runBash(checkout, "hold_stack mine", { PATH });
    expect(other.all).toBe("");
  });

  it("is left to an engine that somebody started without the scripts", async () => {
    const checkout = await makeCheckout();
    const PATH = await makePath({
      pulumi: engine,
      cat: "#!/bin/sh\ncase $1 in /proc/*) echo pulumi;; esac\n",
    });
    const lock = `{"pid":${process.pid},"hostname":"$(uname -n)"}`;
    const { exitCode, all } = await runBash(
      checkout,
      `locks=.state/backend/.pulumi/locks/organization/cloud-images/local
       mkdir -p $locks; echo "${lock.replaceAll('"', '\\"')}" >$locks/1.json
       hold_stack local`,
      { PATH },
    );
    expect(exitCode).toBe(1);
    expect(all).toContain(
      `is being changed by pulumi (process ${process.pid})`,
    );
  });
});
