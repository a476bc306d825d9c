import { describe, expect, it } from "vitest";
import type {
  DefinitionName,
  ImageVersion,
} from "../../../infra/definitions/definition.ts";
import { loadDefinitions } from "../../../infra/definitions/load.ts";
import { UserError } from "../../../infra/errors.ts";
import {
  amiNameOf,
  deprecationTime,
  hasMachines,
  machineOf,
  parameterName,
} from "../../../infra/platforms/ec2/ami.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import { definitionWith } from "../../definitions/fixtures.ts";

const version = "20261121-0312" as ImageVersion;

describe("an AMI", () => {
  it("is named by definition, channel and version, a release without its channel", () => {
    expect(amiNameOf(definitionWith(), "daily", version)).toBe(
      "debian-13-tiny-amd64-daily-20261121-0312",
    );
    expect(amiNameOf(definitionWith(), "release", version)).toBe(
      "debian-13-tiny-amd64-20261121-0312",
    );
  });

  it("cannot have a longer name than EC2 takes", () => {
    const name = "a".repeat(115) as DefinitionName;
    expect(
      amiNameOf(
        { ...definitionWith(), name: name.slice(1) as DefinitionName },
        "release",
        version,
      ),
    ).toHaveLength(128);
    expect(() =>
      amiNameOf({ ...definitionWith(), name }, "release", version),
    ).toThrow(UserError);
  });

  it("starts as machines of its architecture do, with a TPM and version 2 of the metadata service", () => {
    const { architecture, bootMode, tpmSupport, imdsSupport } = machineOf(
      definitionWith({ architecture: "amd64" }),
    );
    expect([architecture, bootMode, tpmSupport, imdsSupport]).toEqual([
      "x86_64",
      "uefi-preferred",
      "v2.0",
      "v2.0",
    ]);
    expect(machineOf(definitionWith({ architecture: "arm64" }))).toMatchObject({
      architecture: "arm64",
      bootMode: "uefi",
    });
  });

  it("is for architectures that EC2 has", () => {
    expect(hasMachines("arm64")).toBe(true);
    expect(hasMachines("riscv64")).toBe(false);
    expect(() =>
      machineOf(definitionWith({ architecture: "riscv64" })),
    ).toThrow(/EC2 has no machines of riscv64/);
  });

  it("becomes deprecated so many days after its version", () => {
    expect(deprecationTime("20261201-1" as ImageVersion, 31)).toBe(
      "2027-01-01T00:00:00Z",
    );
    expect(deprecationTime("20240228-0312" as ImageVersion, 2)).toBe(
      "2024-03-01T00:00:00Z",
    );
  });
});

describe("the parameter that names the newest AMI", () => {
  it("says distribution, release, architecture and channel", () => {
    const ec2 = definitionWith({
      name: "debian-13-ec2-amd64" as DefinitionName,
      variant: "ec2",
    });
    expect(parameterName("/team", ec2, "daily")).toBe(
      "/team/debian/13/amd64/daily/latest",
    );
  });

  it("is another one for each image there is", async () => {
    const all = await loadDefinitions(projectPath("image-definitions"));
    const names = all.map((each) => parameterName("/p", each, "daily"));
    expect(new Set(names).size).toBe(all.length);
    expect(names).toContain("/p/debian/12-backports/arm64/daily/latest");
    expect(names).toContain("/p/debian/sid-genericcloud/amd64/daily/latest");
  });
});
