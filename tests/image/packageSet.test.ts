import { describe, expect, it } from "vitest";
import {
  afterSimulation,
  installedStatus,
  readDryRun,
} from "../../infra/image/packageSet.ts";

const apt =
  "apt-get -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confnew --allow-change-held-packages --fix-missing";
const executing = (...commands: string[]) =>
  commands
    .map((each) => `install_packages: executing chroot /a/root ${each}\n`)
    .join("");

describe("what FAI would do", () => {
  it("is a list of steps for apt", () => {
    expect(
      readDryRun(
        executing(
          "apt-get clean",
          `${apt} install vim g++ libc6:amd64 bash=5.2 curl/trixie nano-`,
          `${apt} install --no-install-recommends -t trixie-backports linux-image-amd64`,
          "dpkg --configure --pending",
          "dpkg -C",
        ),
      ),
    ).toEqual([
      [
        ...["install", "vim", "g++", "libc6:amd64", "bash=5.2"],
        ...["curl/trixie", "nano-"],
      ],
      [
        ...["install", "--no-install-recommends", "-t", "trixie-backports"],
        "linux-image-amd64",
      ],
    ]);
  });

  it.each([
    ["another program", "aptitude -R -y install vim"],
    ["a removal", "apt-get -y --purge remove vim"],
    ["an upgrade", "apt-get -y dselect-upgrade"],
    ["an option of somebody's", `${apt} install vim -o APT::Get::List=1`],
    ["a pattern", `${apt} install ?essential`],
    ["a variable of the shell", `${apt} install $KERNEL`],
  ])("is not known where it is %s", (_what, command) => {
    expect(
      readDryRun(executing(`${apt} install nano`, command)),
    ).toBeUndefined();
  });

  it("is not known where it warns", () => {
    expect(
      readDryRun("WARNING: Unknown action instal after PACKAGES\n"),
    ).toBeUndefined();
  });
});

describe("the packages after a simulation", () => {
  it("are those before, with what is installed, replaced and removed", () => {
    const before = [
      { name: "kept", version: "1", architecture: "amd64" },
      { name: "old", version: "1", architecture: "all" },
      { name: "removed", version: "1", architecture: "amd64" },
    ];
    const said = `Reading package lists...
The following NEW packages will be installed:
  added
Remv removed [1]
Inst added (2:1.0-1+b2 Debian:13.7/stable, Debian-Security:13/stable-security [amd64])
Inst old [1] (2 Debian:13.7/stable [all]) [added:amd64 ]
Conf added (2:1.0-1+b2 Debian:13.7/stable [amd64])
`;
    expect(afterSimulation(before, said)).toEqual([
      { name: "added", version: "2:1.0-1+b2", architecture: "amd64" },
      { name: "kept", version: "1", architecture: "amd64" },
      { name: "old", version: "2", architecture: "all" },
    ]);
  });
});

describe("the status of an installed system", () => {
  it("has every package once, as installed", () => {
    const shown =
      "Package: a\nVersion: 1\n\nPackage: b\nVersion: 2\n\nPackage: a\nVersion: 1\nFilename: other\n";
    expect(installedStatus(shown)).toBe(
      "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: install ok installed\nVersion: 2\n\n",
    );
  });
});
