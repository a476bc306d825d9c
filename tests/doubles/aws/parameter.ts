/** aws.ssm.Parameter: a named text in Systems Manager. */

import type { ResourceKind } from "../resourceKind.ts";
import { isEmpty, type Properties, unknown } from "../values.ts";
import type { AwsCloud } from "./cloud.ts";
import { RefusedByAws, told, unlessGone } from "./failures.ts";
import { shapes } from "./shapes.ts";
import { listedTags, tagsOf } from "./tags.ts";

/** Letters, digits and .-_ between slashes; at most 15 levels; none of AWS's own names. */
const namePattern = /^(\/?[\w.-]+|(\/[\w.-]+){2,15})$/;
const reservedPattern = /^\/?(aws|ssm)/i;
const nameLength = 1011;

const types = ["String", "StringList", "SecureString"];

export const parameterKind: ResourceKind<AwsCloud> = {
  shape: shapes.ofResource("ssm/parameter", "Parameter"),
  nameProperty: "name",
  updatable: new Set([
    "allowedPattern",
    "description",
    "insecureValue",
    "overwrite",
    "tags",
    "tier",
    "type",
    "value",
  ]),
  computed: new Set([
    "arn",
    "dataType",
    "insecureValue",
    "keyId",
    "region",
    "tier",
    "value",
  ]),
  outputs: ["arn", "tagsAll", "version", "hasValueWo"],
  unread: new Set(["overwrite"]),

  check({ name, type, value, insecureValue, valueWo }) {
    const wrong = [];
    const isName =
      name === unknown ||
      (namePattern.test(String(name)) &&
        !reservedPattern.test(String(name)) &&
        String(name).length <= nameLength);
    if (!isName) {
      wrong.push({
        property: "name",
        reason: `Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive), and consists of letters, digits and .-_ between slashes: ${name}`,
      });
    }
    if (type !== unknown && !types.includes(String(type))) {
      wrong.push({
        property: "type",
        reason: `expected type to be one of ${types.join(", ")}, got ${type}`,
      });
    }
    const values = [value, insecureValue, valueWo].filter(
      (given) => given !== undefined,
    );
    if (values.length !== 1) {
      wrong.push({
        property: "value",
        reason: "one of insecureValue, value, valueWo must be specified",
      });
    }
    return wrong;
  },

  async create(cloud, inputs) {
    const name = inputs.name as string;
    await put(cloud, inputs, inputs.overwrite === true);
    if (inputs.overwrite === true) await changeTags(cloud, name, {}, inputs);
    return { id: name, outputs: await existing(cloud, name, inputs) };
  },

  async read(cloud, id, known) {
    const region = (known.region as string) ?? cloud.region;
    const ssm = await cloud.ssm(region);
    const {
      DescribeParametersCommand,
      GetParameterCommand,
      ListTagsForResourceCommand,
    } = await import("@aws-sdk/client-ssm");
    const found = await unlessGone(
      ["ParameterNotFound"],
      ssm.send(new GetParameterCommand({ Name: id, WithDecryption: true })),
    );
    if (found?.Parameter === undefined) return undefined;
    const { Value, Type, ARN, Version, DataType } = found.Parameter;
    const { Parameters } = await ssm.send(
      new DescribeParametersCommand({
        ParameterFilters: [{ Key: "Name", Option: "Equals", Values: [id] }],
      }),
    );
    const { TagList } = await ssm.send(
      new ListTagsForResourceCommand({
        ResourceType: "Parameter",
        ResourceId: id,
      }),
    );
    const tags = tagsOf(TagList);
    return {
      allowedPattern: Parameters?.[0]?.AllowedPattern,
      arn: ARN,
      dataType: DataType,
      description: Parameters?.[0]?.Description,
      ...(known.insecureValue === undefined
        ? { value: Value }
        : { value: Value, insecureValue: Value }),
      hasValueWo: false,
      name: id,
      region,
      tags,
      tagsAll: tags,
      tier: Parameters?.[0]?.Tier,
      type: Type,
      version: Version,
    };
  },

  async update(cloud, id, olds, news) {
    await put(cloud, news, true);
    await changeTags(cloud, id, olds, news);
    return existing(cloud, id, news);
  },

  async delete(cloud, id, outputs) {
    const ssm = await cloud.ssm(outputs.region as string);
    const { DeleteParameterCommand } = await import("@aws-sdk/client-ssm");
    await told(`deleting SSM Parameter (${id})`, "SSM: DeleteParameter", () =>
      unlessGone(
        ["ParameterNotFound"],
        ssm.send(new DeleteParameterCommand({ Name: id })),
      ),
    );
  },
};

async function existing(
  cloud: AwsCloud,
  id: string,
  inputs: Properties,
): Promise<Properties> {
  const found = await parameterKind.read(cloud, id, inputs);
  if (found === undefined) throw new Error(`The parameter ${id} has gone.`);
  return found;
}

async function put(
  cloud: AwsCloud,
  inputs: Properties,
  overwrites: boolean,
): Promise<void> {
  const region = inputs.region as string;
  const ssm = await cloud.ssm(region);
  const { PutParameterCommand } = await import("@aws-sdk/client-ssm");
  const value = String(inputs.value ?? inputs.insecureValue);
  const tags = listedTags(inputs);
  await told(
    `creating SSM Parameter (${inputs.name})`,
    "SSM: PutParameter",
    async () => {
      if (inputs.dataType === "aws:ec2:image") {
        await refuseUnknownImage(cloud, region, value);
      }
      await ssm.send(
        new PutParameterCommand({
          Name: inputs.name as string,
          Value: value,
          Type: inputs.type as "String",
          Description: inputs.description as string | undefined,
          AllowedPattern: inputs.allowedPattern as string | undefined,
          DataType: inputs.dataType as string | undefined,
          Tier: inputs.tier as "Standard" | undefined,
          Overwrite: overwrites,
          // SSM takes no tags with an overwrite.
          ...(overwrites || tags.length === 0 ? {} : { Tags: tags }),
        }),
      );
    },
  );
}

/** SSM looks for the AMI that a parameter of type aws:ec2:image names; moto does not. */
async function refuseUnknownImage(
  cloud: AwsCloud,
  region: string,
  id: string,
): Promise<void> {
  const ec2 = await cloud.ec2(region);
  const { DescribeImagesCommand } = await import("@aws-sdk/client-ec2");
  const found = await unlessGone(
    ["InvalidAMIID.NotFound", "InvalidAMIID.Malformed"],
    ec2.send(new DescribeImagesCommand({ ImageIds: [id] })),
  );
  if (isEmpty(found?.Images?.map(({ ImageId = "" }) => ImageId))) {
    throw new RefusedByAws(
      "ValidationException",
      `The parameter value ${id} is no AMI of this region.`,
    );
  }
}

async function changeTags(
  cloud: AwsCloud,
  id: string,
  olds: Properties,
  news: Properties,
): Promise<void> {
  const ssm = await cloud.ssm(news.region as string);
  const { AddTagsToResourceCommand, RemoveTagsFromResourceCommand } =
    await import("@aws-sdk/client-ssm");
  const wanted = listedTags(news);
  const dropped = listedTags(olds)
    .map(({ Key }) => Key)
    .filter((key) => !wanted.some(({ Key }) => Key === key));
  const resource = { ResourceType: "Parameter", ResourceId: id } as const;
  if (dropped.length > 0) {
    await ssm.send(
      new RemoveTagsFromResourceCommand({ ...resource, TagKeys: dropped }),
    );
  }
  if (wanted.length > 0) {
    await ssm.send(new AddTagsToResourceCommand({ ...resource, Tags: wanted }));
  }
}
