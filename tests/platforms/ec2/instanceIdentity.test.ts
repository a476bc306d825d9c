import { describe, expect, it, vi } from "vitest";
import { UserError } from "../../../infra/errors.ts";
import { instanceIdentity } from "../../../infra/platforms/ec2/instanceIdentity.ts";
import { InstanceMetadata } from "../../servers/instanceMetadata.ts";

const instance = {
  instanceId: "i-0123456789abcdef0",
  accountId: "123456789012",
  region: "eu-central-1",
  availabilityZone: "eu-central-1b",
};

describe("an instance", () => {
  it("is known by its metadata service, which wants a token", async () => {
    await using metadata = await InstanceMetadata.start(instance);
    expect(await instanceIdentity(metadata.url)).toEqual(instance);
    const document = "/latest/dynamic/instance-identity/document";
    expect((await fetch(metadata.url + document)).status).toBe(401);
  });

  it("is known where Amazon's own tools find it, too", async () => {
    await using metadata = await InstanceMetadata.start(instance);
    vi.stubEnv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url);
    expect(await instanceIdentity()).toEqual(instance);
    vi.unstubAllEnvs();
  });

  it("is not where nothing answers", async () => {
    const asking = instanceIdentity("http://127.0.0.1:9");
    await expect(asking).rejects.toThrow(UserError);
    await expect(asking).rejects.toThrow(
      /^This machine is no instance of EC2.*http:\/\/127\.0\.0\.1:9 does not answer\..*method: ebs-direct/,
    );
  });

  it("is not where something else answers", async () => {
    await using metadata = await InstanceMetadata.start({
      ...instance,
      instanceId: "virtual",
    });
    await expect(instanceIdentity(metadata.url)).rejects.toThrow(
      /does not say which instance this is/,
    );
    await expect(instanceIdentity(`${metadata.url}/`)).rejects.toThrow(
      UserError,
    );
  });
});
