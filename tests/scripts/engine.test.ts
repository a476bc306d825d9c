import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  exists,
  makeCheckout,
  makeDirectory,
  makePath,
  readPin,
  runBash,
  writeFiles,
} from "./checkout.ts";
import { packEngine, serve, unreachable } from "./releases.ts";

const wanted = await readPin("engine.sh", "PULUMI_VERSION");

/** An installed engine of a given version. */
function engine(version: string): string {
  return `#!/bin/sh\n[ "$*" = version ] && echo v${version}\n`;
}

/** A Go that knows two commands: it tells its version, and "builds" programs that name their module. */
const go = `#!/bin/bash
case "$1 $2" in
"env GOVERSION") echo go1.26.1 ;;
"build -v")
  while [[ "$1" != -o ]]; do shift; done
  mkdir -p "\${2%/*}"
  printf '#!/bin/sh\\necho built with: %s\\n' "$(tail -n 1 go.mod)" >"$2"
  chmod +x "$2"
  ;;
*) echo "go $* is not expected" >&2; exit 97 ;;
esac
`;

const install = `install_engine; "$(find_engine)/pulumi"`;

/** A checkout whose Node packages are installed, as far as the engine has anything of them. */
async function makeInstalledCheckout(): Promise<string> {
  const checkout = await makeCheckout();
  await writeFiles(checkout, {
    "node_modules/@pulumi/pulumi/pulumi-resource-pulumi-nodejs": "#!/bin/sh\n",
  });
  return checkout;
}

describe("the engine", () => {
  it("is the installed one where that is new enough", async () => {
    const PATH = await makePath({
      pulumi: engine("3.1000.0"),
      "pulumi-language-nodejs": "#!/bin/sh\n",
    });
    const { stdout } = await runBash(await makeCheckout(), "find_engine", {
      PATH,
    });
    expect(stdout).toBe(PATH);
  });

  it.each([
    [
      "is too old",
      { pulumi: engine("3.99.0"), "pulumi-language-nodejs": "#!/bin/sh\n" },
    ],
    ["lacks the language host", { pulumi: engine("3.1000.0") }],
    [
      "does not run",
      {
        pulumi: "#!/bin/sh\nexit 1\n",
        "pulumi-language-nodejs": "#!/bin/sh\n",
      },
    ],
  ])("is not the installed one where that %s", async (_, programs) => {
    const PATH = await makePath(programs as Record<string, string>);
    const { exitCode, stdout } = await runBash(
      await makeCheckout(),
      "find_engine",
      { PATH },
    );
    expect(stdout).toBe("");
    expect(exitCode).toBe(1);
  });

  it("is found where a container has the tools of all its checkouts", async () => {
    const tools = await makeDirectory();
    await writeFiles(tools, { "pulumi/version": `${wanted}\n` });
    const { stdout } = await runBash(await makeCheckout(), "find_engine", {
      PATH: await makePath(),
      CLOUD_IMAGES_TOOLS: tools,
    });
    expect(stdout).toBe(join(tools, "pulumi/bin"));
  });

  it("is the official release where that can be had", async () => {
    const checkout = await makeCheckout();
    const { stdout } = await runBash(checkout, install, {
      PATH: await makePath(),
      CLOUD_IMAGES_PULUMI_RELEASES: await serve(await packEngine()),
    });
    expect(stdout).toBe("the released engine");
    expect(
      await readFile(join(checkout, ".tools/pulumi/version"), "utf8"),
    ).toBe(`${wanted}\n`);
  });

  it("is built from its Go modules where there is no way to the release", async () => {
    const checkout = await makeInstalledCheckout();
    const { stdout, all } = await runBash(checkout, install, {
      PATH: await makePath({ go }),
      CLOUD_IMAGES_PULUMI_RELEASES: unreachable,
    });
    expect(stdout).toBe(
      `built with: require github.com/pulumi/pulumi/pkg/v3 v${wanted}`,
    );
    expect(all).toContain(
      `${unreachable} cannot be reached: building Pulumi ${wanted}`,
    );
    expect(await readdir(join(checkout, ".tools/pulumi/bin"))).toEqual([
      "pulumi",
      "pulumi-language-nodejs",
      "pulumi-resource-pulumi-nodejs",
    ]);
  });

  it("is built where the server has no release for this machine", async () => {
    const { stdout } = await runBash(await makeInstalledCheckout(), install, {
      PATH: await makePath({ go }),
      CLOUD_IMAGES_PULUMI_RELEASES: await serve({}),
    });
    expect(stdout).toContain("built with");
  });

  it("is neither installed nor built when the release is not what its checksum says", async () => {
    const checkout = await makeCheckout();
    const files = await packEngine();
    const archive =
      Object.keys(files).find((name) => name.endsWith(".tar.gz")) ?? "";
    const { exitCode, all } = await runBash(checkout, install, {
      PATH: await makePath({ go }),
      CLOUD_IMAGES_PULUMI_RELEASES: await serve({
        ...files,
        [archive]: "altered",
      }),
    });
    expect(exitCode).toBe(1);
    expect(all).toMatch(
      /does not have the checksum that .* gives for it\. Nothing was installed/,
    );
    expect(await exists(join(checkout, ".tools/pulumi"))).toBe(false);
  });

  it("leaves nothing half-built, and says what can be done, when the build fails", async () => {
    const checkout = await makeCheckout();
    const failing = go.replace(
      '"build -v")',
      '"build -v") echo no such module; exit 1;;\n"never")',
    );
    const { exitCode, all } = await runBash(
      checkout,
      "(remove_incoming_at_exit; install_engine)",
      {
        PATH: await makePath({ go: failing }),
        CLOUD_IMAGES_PULUMI_RELEASES: unreachable,
      },
    );
    expect(exitCode).toBe(1);
    expect(all).toContain("| no such module");
    expect(all).toContain(`Install Pulumi ${wanted} or newer`);
    expect(await readdir(join(checkout, ".tools"))).toEqual([]);
  });
});

describe("the Go that builds it", () => {
  it.each([
    ["1.25.11", "local", true],
    ["1.25.3", "local", false],
    ["1.25.3", "auto", true],
    ["1.19.8", "auto", false],
  ])(
    "may be an installed go%s with GOTOOLCHAIN=%s: %s",
    async (version, toolchain, usable) => {
      const PATH = await makePath({
        go: `#!/bin/sh\ncase "$*" in "env GOVERSION") echo go${version};; "env GOTOOLCHAIN") echo ${toolchain};; *) exit 97;; esac\n`,
      });
      const { exitCode } = await runBash(await makeCheckout(), "find_go", {
        PATH,
      });
      expect(exitCode).toBe(usable ? 0 : 1);
    },
  );
});
