import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeCheckout, makePath, runBash, writeFiles } from "./checkout.ts";

const lists = {
  "scripts/packages/up.txt": `# a comment
fai-client            # image builds
grub-pc-bin [amd64]   # BIOS boot
only-arm [arm64]
zstd
`,
};

/** A dpkg-query that knows zstd and a package with several machines, and that once had mtools. */
const dpkgQuery = `#!/bin/sh
[ "$*" = '--show --showformat \${db:Status-Status} \${Package} \${Provides}\\n' ] || exit 97
echo "installed zstd "
echo "config-files mtools floppy"
echo "installed qemu-system-misc qemu-system-alpha (= 1:7.2), qemu-system-riscv64"
`;

/** An apt-get that only updates and installs, and notes what it was asked for, and how. */
const aptGet = `#!/bin/sh
echo "apt-get $*, $DEBIAN_FRONTEND" >>"$HOME/calls"
case "$*" in
*" update" | *" install --yes --no-install-recommends "*) ;;
*) exit 97 ;;
esac
`;

describe("a package list", () => {
  it("has one name to a line, for this machine's architecture", async () => {
    const PATH = await makePath({ uname: "#!/bin/sh\necho aarch64\n" });
    const checkout = await makeCheckout(lists);
    const { stdout } = await runBash(
      checkout,
      "list_packages scripts/packages/up.txt",
      { PATH },
    );
    expect(stdout.split("\n")).toEqual(["fai-client", "only-arm", "zstd"]);
  });

  it.each(["up", "test", "nightly", "bench"])(
    "says of each package in %s.txt what needs it",
    async (list) => {
      const text = await readFile(`scripts/packages/${list}.txt`, "utf8");
      for (const line of text.trimEnd().split("\n")) {
        expect(line).toMatch(/^#|^[a-z0-9.+-]+( \[(amd64|arm64)\])? +# \S/);
      }
    },
  );
});

describe("missing packages", () => {
  it("are those that no installed package is or provides", async () => {
    const PATH = await makePath({ "dpkg-query": dpkgQuery });
    const { stdout } = await runBash(
      await makeCheckout(),
      "list_missing_packages fai-client zstd mtools floppy qemu-system-alpha qemu-system-riscv64",
      { PATH },
    );
    expect(stdout).toBe("fai-client\nmtools\nfloppy");
  });

  it("are installed without questions and recommendations", async () => {
    const checkout = await makeCheckout();
    const PATH = await makePath({
      "apt-get": aptGet,
      sudo: `#!/bin/sh\nexec "$@"\n`,
    });
    const { exitCode } = await runBash(
      checkout,
      "install_packages mtools zstd",
      { PATH },
    );
    expect(exitCode).toBe(0);
    expect(
      (await readFile(join(checkout, "calls"), "utf8")).trimEnd().split("\n"),
    ).toEqual([
      "apt-get -o DPkg::Lock::Timeout=300 update, ",
      "apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends mtools zstd, noninteractive",
    ]);
  });

  it("are refused in words where neither root nor sudo is there", async () => {
    const PATH = await makePath({ "apt-get": aptGet });
    const { exitCode, all } = await runBash(
      await makeCheckout(),
      // EUID cannot be set, and whoever runs the tests may be root.
      `require_root_as_user() { local -; eval "$(declare -f require_root | sed s/EUID/1000/)"; require_root "$@"; }
       require_root_as_user "to install Debian packages"`,
      { PATH },
    );
    expect(exitCode).toBe(1);
    expect(all).toContain(
      "Root's rights are needed to install Debian packages, and there is no sudo.",
    );
  });

  it("end the set-up where this is no Debian", async () => {
    const { exitCode, all } = await runBash(await makeCheckout(), "set_up up", {
      PATH: await makePath(),
    });
    expect(exitCode).toBe(1);
    expect(all).toContain("Debian 12 and 13");
  });
});

describe("the list of what will be installed", () => {
  it("names everything that is missing before anything is installed", async () => {
    const checkout = await makeCheckout({
      ...lists,
      "package-lock.json": "{}",
    });
    const PATH = await makePath({
      "dpkg-query": dpkgQuery,
      uname: "#!/bin/sh\necho x86_64\n",
    });
    const { stdout } = await runBash(
      checkout,
      "look_for_what_is_missing up; ID_RANGE=there; describe_what_is_missing",
      { PATH },
    );
    expect(stdout).toMatch(/^ {2}Debian packages: fai-client grub-pc-bin$/m);
    expect(stdout).toMatch(/^ {2}in \.tools\/node: Node 24\./m);
    expect(stdout).toMatch(/^ {2}in \.tools\/pulumi: Pulumi 3\./m);
    expect(stdout).toMatch(
      /^ {2}in node_modules: what package-lock\.json names$/m,
    );
  });

  it("has Azurite only where that is asked for, and its lock has changed", async () => {
    const lock = "scripts/packages/azurite/package-lock.json";
    const checkout = await makeCheckout({ [lock]: "{}" });
    const find = async (...lists: readonly string[]) =>
      (await runBash(checkout, `find_azurite ${lists.join(" ")}`)).exitCode;
    expect(await find("up", "test")).toBe(0);
    expect(await find("up", "azurite")).toBe(1);
    await runBash(
      checkout,
      'mkdir -p "$TOOLS/azurite"; hash_azurite_lock >"$TOOLS/azurite/installed"',
    );
    expect(await find("azurite")).toBe(0);
    await writeFiles(checkout, { [lock]: "{ }" });
    expect(await find("azurite")).toBe(1);
  });

  it("has packages that are not installed only where a list wants them, and again when it has changed", async () => {
    const list = "scripts/packages/test.unpacked.txt";
    const checkout = await makeCheckout({ [list]: "# a\ncloud-init   # b\n" });
    const find = async (...lists: readonly string[]) =>
      (await runBash(checkout, `find_unpacked ${lists.join(" ")}`)).exitCode;
    expect(await find("up")).toBe(0);
    expect(await find("up", "test")).toBe(1);
    await runBash(
      checkout,
      'mkdir -p "$TOOLS/unpacked"; echo cloud-init >"$TOOLS/unpacked/installed"',
    );
    expect(await find("up", "test")).toBe(0);
    await writeFiles(checkout, { [list]: "cloud-init\nsshd\n" });
    expect(await find("test")).toBe(1);
  });

  it("has node_modules again when package-lock.json has changed", async () => {
    const checkout = await makeCheckout({ "package-lock.json": "{}" });
    const stamp = `mkdir -p node_modules; hash_package_lock >node_modules/.installed-from`;
    expect(
      (await runBash(checkout, `${stamp}; find_node_modules`)).exitCode,
    ).toBe(0);
    await writeFiles(checkout, { "package-lock.json": "{ }" });
    expect((await runBash(checkout, "find_node_modules")).exitCode).toBe(1);
  });
});
