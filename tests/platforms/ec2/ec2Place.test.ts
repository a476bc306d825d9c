/** What the program declares of images on their way to EC2, as an engine hears it. */

import { beforeEach, describe, expect, it } from "vitest";
import type {
  Definition,
  ImageKey,
  ImageVersion,
} from "../../../infra/definitions/definition.ts";
import type { ArchiveState } from "../../../infra/image/archive.ts";
import { DirectoryStore } from "../../../infra/store/directoryStore.ts";
import {
  writeBuild,
  writePublication,
} from "../../../infra/store/documents.ts";
import {
  type Declaration,
  type DeclaredProject,
  makeDeclaredProject,
  oneDeclared,
} from "../../declaredProject.ts";
import { storeArtifact } from "../../store/records.ts";

const ec2 = {
  definitions: ["*"],
  parameters: "/team",
  targets: {
    west: { region: "eu-west-1", copyFrom: "east" },
    east: { region: "us-east-1", share: "public" },
  },
};

let project: DeclaredProject;
beforeEach(async () => {
  project = await makeDeclaredProject();
  return () => project.remove();
});

function declare(
  changes: Parameters<DeclaredProject["declare"]>[0] = {},
  section: object = ec2,
): Promise<Declaration> {
  return project.declare({
    config: project.configWith({ directory: undefined, ec2: section }),
    ...changes,
  });
}

/** Names of a declaration's resources of EC2 and Systems Manager, without the image's own. */
function parts({ declared }: Declaration): readonly string[] {
  return declared
    .filter(
      ({ name, type }) => /ec2-/.test(name) && type !== "pulumi:providers:aws",
    )
    .map(({ name }) =>
      name.replace(/^debian-13-tiny-amd64-(?:[0-9a-f]{12}-)?/, ""),
    )
    .sort();
}

/** Records versions as published to `east` and `west` before. @param digits of their keys, and of their versions' minutes */
async function publishOlder(...digits: readonly string[]): Promise<void> {
  const { declared } = await declare();
  // The current one comes first.
  const { inputs } =
    declared.find(({ name }) => name.endsWith("-image")) ?? expect.fail();
  const definition = inputs.definition as Definition;
  const store = new DirectoryStore(project.path("store"));
  for (const digit of digits) {
    const key = digit.repeat(64) as ImageKey;
    const version = `20261120-031${digit}` as ImageVersion;
    await writeBuild(store, {
      ...{ key, version, definition },
      builtAt: "2026-11-20T03:12:45.000Z",
      archive: inputs.archive as ArchiveState,
      raw: await storeArtifact(store, `older ${digit}`),
      packages: [],
      phaseSeconds: {},
      tools: {},
    });
    for (const place of ["east", "west"]) {
      await writePublication(store, {
        ...{ key, version, definition, place },
        platform: "ec2",
        channel: "daily",
        stack: "team/cloud-images/mine",
        publishedAt: "2026-11-20T03:20:00.000Z",
        inputs: {},
        files: [],
        names: { imageId: `ami-0${place}`, sourceImageId: "ami-0source" },
      });
    }
  }
}

const failed = { failures: ["It does not boot."] };

describe("an image on its way to EC2", () => {
  it("has its parts in each target, sources before their copies", async () => {
    const declaration = await declare();
    expect(declaration.error).toBeUndefined();
    expect(parts(declaration)).toEqual([
      "ec2-east",
      "ec2-east-ami",
      "ec2-east-latest",
      "ec2-east-public",
      "ec2-east-record",
      "ec2-east-snapshot",
      "ec2-west",
      "ec2-west-ami",
      "ec2-west-latest",
      "ec2-west-record",
      "ec2-west-snapshots",
    ]);
  });

  it("lets others in after the record, and has the parameter wait for that", async () => {
    const declaration = await declare({ preview: false });
    const depends = (end: string) =>
      oneDeclared(declaration, end).dependencies.map((name) =>
        name.replace(/^.*-ec2-/, "ec2-"),
      );
    expect(depends("-east-public")).toEqual(
      expect.arrayContaining(["ec2-east-ami", "ec2-east-record"]),
    );
    expect(depends("-east-latest")).toEqual(
      expect.arrayContaining([
        "ec2-east-ami",
        "ec2-east-record",
        "ec2-east-public",
      ]),
    );
    expect(
      depends("-east-snapshot").filter((name) => name.includes("boot")),
    ).toHaveLength(2);
  });

  it("has no AMI and moves no parameter when it failed and may", async () => {
    await project.setVariant({ allowFailure: true });
    const declaration = await declare({ preview: false, outputs: failed });
    expect(parts(declaration)).toEqual([]);
    expect(declaration.summary).toContain(
      "FAILED, which its definition allows",
    );
  });

  it("leaves the parameters at the older AMIs then", async () => {
    await project.setVariant({ allowFailure: true });
    await publishOlder("0");
    const declaration = await declare({ preview: false, outputs: failed });
    expect(
      oneDeclared(declaration, "-ec2-east-latest").inputs.insecureValue,
    ).toBe("ami-0east");
    expect(
      oneDeclared(declaration, "-ec2-west-latest").inputs.insecureValue,
    ).toBe("ami-0west");
  });

  it("shows in a preview what a good end would bring", async () => {
    await project.setVariant({ allowFailure: true });
    expect(parts(await declare())).toContain("ec2-east-ami");
  });

  it("keeps older versions where they are published, copies by the AMI that they were made from", async () => {
    await publishOlder("0");
    const declaration = await declare();
    const older = declaration.declared.filter(({ name }) =>
      name.includes("-000000000000-ec2-"),
    );
    expect(
      older.map(({ name }) => name.replace(/^.*-ec2-/, "")).sort(),
    ).toEqual([
      ...["east", "east-ami", "east-public", "east-record", "east-snapshot"],
      ...["west", "west-ami", "west-record", "west-snapshots"],
    ]);
    const { east: _, ...rest } = ec2.targets;
    const alone = await declare(
      {},
      {
        ...ec2,
        targets: {
          ...rest,
          east: { region: "us-east-1" },
          north: { region: "eu-north-1" },
        },
      },
    );
    expect(
      alone.declared.some(({ name }) => /-000000000000-ec2-north/.test(name)),
    ).toBe(false);
  });

  it("warns of more public AMIs than accounts may have by default, while they become more", async () => {
    await publishOlder("0", "1", "2", "3", "4");
    const keeping = (versions: number) =>
      declare({
        config: project.configWith({
          ...{ directory: undefined, ec2, retention: { versions } },
        }),
      });
    const { warnings, error } = await keeping(6);
    expect(error).toBeUndefined();
    // Those of the other target are private.
    expect(warnings).toEqual([
      expect.stringMatching(
        /^cloud-images:ec2\.targets\.east: this stack is to have 6 public AMIs in us-east-1, and has 5 by now\..* Service Quotas/,
      ),
    ]);
    expect((await keeping(5)).warnings).toEqual([]);
    await publishOlder("5");
    // One goes for the one that comes.
    expect((await keeping(6)).warnings).toEqual([]);
  });

  it("leaves nothing where its definition does not go any more", async () => {
    await publishOlder("0");
    const section = {
      ...ec2,
      definitions: ["debian-13-other-*"],
    };
    const config = project.configWith({ ec2: section });
    const { declared } = await project.declare({ config });
    expect(declared.filter(({ name }) => /ec2-/.test(name))).toEqual([]);
    expect(declared.filter(({ name }) => name.endsWith("-image"))).toHaveLength(
      1,
    );
  });

  it("does not go where EC2 has no machines for it", async () => {
    const declaration = await declare(
      {},
      { ...ec2, definitions: ["debian-13-other-*"] },
    );
    expect(declaration.error).toContain(
      "no platform takes debian-13-tiny-amd64",
    );
  });
});
