/** A signed package archive in a directory, whose packages a test decides; apt is the real one. */

import { createHash } from "node:crypto";
import { chmod, mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";

/** A package, as an index describes it. */
export interface OfferedPackage {
  readonly name: string;
  readonly version: string;
  /** Further fields: `Depends: other\nEssential: yes`. */
  readonly fields?: string;
}

/** Suite to what it offers. */
export type Offer = Readonly<Record<string, readonly OfferedPackage[]>>;

export class LocalArchive {
  readonly #directory: string;

  /** @param directory of the test's, which it removes */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The address for apt. */
  get address(): string {
    return `file:${join(this.#directory, "mirror")}`;
  }

  /** Makes a key, and puts an apt-get that trusts it into a directory for PATH; everything else is the real one's. */
  async prepare(bin: string): Promise<void> {
    await mkdir(this.#keys, { recursive: true, mode: 0o700 });
    await this.#gpg("--quick-gen-key", "archive", "ed25519", "sign", "never");
    const { stdout } = await this.#gpg("--armor", "--export");
    const keyring = join(this.#directory, "archive.asc");
    await writeFile(keyring, `${stdout}\n`);
    const { stdout: real } = await execa("which", ["apt-get"]);
    await mkdir(bin, { recursive: true });
    await writeFile(
      join(bin, "apt-get"),
      `#!/bin/sh
for option; do
  case $option in Dir::Etc::sourcelist=*) sed -i 's,^Signed-By:.*,Signed-By: ${keyring},' "\${option#*=}" ;; esac
done
exec ${real} "$@"
`,
    );
    await chmod(join(bin, "apt-get"), 0o755);
  }

  /**
   * Offers packages, in place of what was offered before.
   *
   * @param path of the archive below its address
   * @param fields further fields of the Release files
   */
  async offer(suites: Offer, path = "", fields = ""): Promise<void> {
    for (const [suite, packages] of Object.entries(suites)) {
      const root = join(this.#directory, "mirror", path, "dists", suite);
      const index = packages.map(stanzaOf).join("\n");
      const sha256 = createHash("sha256").update(index).digest("hex");
      await replace(join(root, "main/binary-amd64/Packages"), index);
      const release = join(this.#directory, "Release");
      await writeFile(
        release,
        `Origin: Test
Suite: ${suite}
Codename: ${suite}
Date: Sat, 21 Nov 2026 03:00:00 UTC
Architectures: amd64
Components: main
${fields}SHA256:
 ${sha256} ${Buffer.byteLength(index)} main/binary-amd64/Packages
`,
      );
      const { stdout } = await this.#gpg(
        "--clearsign",
        "--output",
        "-",
        release,
      );
      await replace(join(root, "InRelease"), `${stdout}\n`);
    }
  }

  get #keys(): string {
    return join(this.#directory, "keys");
  }

  #gpg(...args: string[]) {
    return execa(
      "gpg",
      ["--batch", "--yes", "--quiet", "--passphrase", "", ...args],
      { env: { GNUPGHOME: this.#keys } },
    );
  }
}

function stanzaOf({ name, version, fields }: OfferedPackage): string {
  return [
    `Package: ${name}`,
    `Version: ${version}`,
    "Architecture: amd64",
    "Maintainer: Nobody <nobody@example.org>",
    `Filename: pool/${name}_${version}_amd64.deb`,
    "Size: 1",
    `SHA256: ${"0".repeat(64)}`,
    "Description: a package",
    ...(fields === undefined ? [] : [fields]),
    "",
  ].join("\n");
}

/** A reader may have the old file open. */
async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}
