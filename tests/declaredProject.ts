/** A copy of the project with two small images and an archive of the test's, to see what it declares. */

import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Freshness } from "../infra/definitions/definition.ts";
import { projectDirectory } from "../infra/projectPaths.ts";

/** What to declare, and where. */
export interface DeclareRequest {
  /** The copy of the project. */
  readonly project: string;
  readonly stack: string;
  readonly preview: boolean;
  /** The stack's configuration, as Pulumi hands it to the program. */
  readonly config: Readonly<Record<string, string>>;
  /** Ends of the names of resources that cannot be made. */
  readonly failing: readonly string[];
  /** What resources give that are made, besides what all of them do. */
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** A resource, as the program tells the engine. Others go by their names here. */
export interface Declared {
  readonly type: string;
  readonly name: string;
  readonly parent: string;
  readonly dependencies: readonly string[];
  readonly inputs: Readonly<Record<string, unknown>>;
  /** The text of its dynamic provider, as it goes into the state; empty for a component. */
  readonly provider: string;
}

/** All that was declared, and how it ended. */
export interface Declaration {
  readonly declared: readonly Declared[];
  readonly warnings: readonly string[];
  /** Only when resources were made. */
  readonly summary?: string | undefined;
  readonly error?: string;
}

export const variant = {
  description: "As small as can be",
  classes: ["TINY"],
  disk: { sizeGiB: 3 },
  bootCheck: {
    firmware: ["bios", "uefi"],
    rootGrows: false,
    diskSizeGiB: 3,
    memoryMiB: 512,
    timeoutSeconds: 60,
  },
};

/** What a test says of the first image. */
type VariantChanges = Partial<typeof variant> & {
  readonly allowFailure?: boolean;
  readonly freshness?: Freshness;
};

/** What `image-definitions/` says of the two images. */
const definitionsWith = (changes: VariantChanges) => ({
  releases: {
    trixie: {
      version: "13",
      suites: { debian: ["trixie"], security: ["trixie-security"] },
      systemd: 257,
      classes: [],
    },
  },
  architectures: { amd64: { classes: [] } },
  variants: {
    tiny: { ...variant, ...changes },
    other: {
      ...variant,
      bootCheck: { ...variant.bootCheck, firmware: ["uefi-secure-boot"] },
    },
  },
  images: [
    {
      releases: ["trixie"],
      architectures: ["amd64"],
      variants: ["tiny", "other"],
    },
  ],
});

/** Makes the copy. The caller removes it. */
export async function makeDeclaredProject(): Promise<DeclaredProject> {
  const project = new DeclaredProject(
    await mkdtemp(join(tmpdir(), "declared-project-")),
  );
  await project.fill();
  return project;
}

/** The only declared resource whose name ends so. */
export function oneDeclared({ declared }: Declaration, end: string): Declared {
  const [found, ...more] = declared.filter(({ name }) => name.endsWith(end));
  if (found !== undefined && more.length === 0) return found;
  throw new Error(
    `Not one resource ends with ${end}: ${JSON.stringify([found, ...more])}`,
  );
}

export class DeclaredProject {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  async fill(): Promise<void> {
    for (const name of ["infra", "package.json"]) {
      await cp(join(projectDirectory, name), this.path(name), {
        recursive: true,
      });
    }
    await symlink(
      join(projectDirectory, "node_modules"),
      this.path("node_modules"),
    );
    await this.setVariant({});
    for (const name of ["DEBIAN", "TINY", "LAST"]) {
      await this.write(
        `image-definitions/fai/package_config/${name}`,
        "PACKAGES install\n",
      );
    }
    await this.setArchive("0");
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Where something of the project is. */
  path(name: string): string {
    return join(this.directory, name);
  }

  /** Makes a file of the project. */
  async write(name: string, text: string): Promise<void> {
    await mkdir(join(this.path(name), ".."), { recursive: true });
    await writeFile(this.path(name), text);
  }

  /** Describes the first image, with what differs. */
  async setVariant(changes: VariantChanges): Promise<void> {
    await this.write(
      "image-definitions/images.yaml",
      JSON.stringify(definitionsWith(changes)),
    );
  }

  /**
   * Says what the archive offers: an `apt-get` that fetches it without a network.
   *
   * @param state a hex digit
   */
  async setArchive(state: string): Promise<void> {
    const indices = ["amd64", "arm64"].map(
      (each) => ` ${state.repeat(64)} 1 main/binary-${each}/Packages\\n`,
    );
    const release = `Date: Sat, 21 Nov 2026 03:00:00 UTC\\nSHA256:\\n${indices.join("")}`;
    await this.write(
      "bin/apt-get",
      `#!/bin/sh
for option; do
  case $option in Dir::State::lists=*) lists=\${option#*=} ;; esac
done
for suite in trixie trixie-updates trixie-security trixie-backports; do
  printf '${release}' >"$lists/archive_\${suite}_InRelease"
done
`,
    );
    await execa("chmod", ["+x", this.path("bin/apt-get")]);
  }

  /** Runs the program, as the engine would. */
  async declare(changes: Partial<DeclareRequest> = {}): Promise<Declaration> {
    const request: DeclareRequest = {
      project: this.directory,
      stack: "mine",
      preview: true,
      config: this.configWith({}),
      failing: [],
      ...changes,
    };
    const { stdout } = await execa(
      process.execPath,
      [join(import.meta.dirname, "declare.ts"), JSON.stringify(request)],
      { env: { PATH: `${this.path("bin")}:${process.env.PATH}` } },
    );
    return JSON.parse(stdout) as Declaration;
  }

  /** The configuration of a stack with one image, and what differs from it; `undefined` takes a section away. */
  configWith(
    changes: Readonly<Record<string, unknown>>,
  ): Record<string, string> {
    const config = {
      definitions: ["debian-13-tiny-amd64"],
      store: { directory: "store" },
      directory: { path: "public" },
      archive: {
        debian: "http://archive.example/debian",
        security: "http://archive.example/security",
      },
      ...changes,
    };
    return Object.fromEntries(
      Object.entries(config)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => [
          `cloud-images:${name}`,
          JSON.stringify(value),
        ]),
    );
  }
}
