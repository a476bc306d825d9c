/** aws.iam: roles, their inline policies, and identity providers. */

import type { ResourceKind } from "../resourceKind.ts";
import type { Misfit } from "../shapes.ts";
import {
  isList,
  isObject,
  type Properties,
  unknown,
  type Value,
} from "../values.ts";
import { sameJson } from "./buckets.ts";
import type { AwsCloud } from "./cloud.ts";
import { told, unlessGone } from "./failures.ts";
import { shapes } from "./shapes.ts";
import { listedTags, tagsOf } from "./tags.ts";

const gone = ["NoSuchEntity", "NoSuchEntityException"];
const sdk = () => import("@aws-sdk/client-iam");

/** IAM's quotas, in characters without white space. */
const longest = { assumeRolePolicy: 2048, policy: 10_240 } as const;

/** What IAM refuses and moto takes: no JSON, no statements, too long. */
function misfitsOfPolicy(
  inputs: Properties,
  property: keyof typeof longest,
): Misfit[] {
  const text = inputs[property];
  if (text === unknown) return [];
  const wrong = (reason: string) => [{ property, reason }];
  let document: Value;
  try {
    document = JSON.parse(String(text)) as Value;
  } catch {
    return wrong(`"${property}" contains an invalid JSON policy`);
  }
  const statements = isObject(document) ? document.Statement : undefined;
  if (!isList(statements) || statements.length === 0) {
    return wrong("MalformedPolicyDocument: the policy has no statements");
  }
  const characters = JSON.stringify(document).length;
  return characters > longest[property]
    ? wrong(`LimitExceeded: ${characters} of ${longest[property]} characters`)
    : [];
}

export const roleKind: ResourceKind<AwsCloud> = {
  shape: shapes.ofResource("iam/role", "Role"),
  defaults: { forceDetachPolicies: false, maxSessionDuration: 3600, path: "/" },
  nameProperty: "name",
  updatable: new Set([
    ...["assumeRolePolicy", "description", "forceDetachPolicies"],
    ...["maxSessionDuration", "permissionsBoundary", "tags"],
  ]),
  computed: new Set(["inlinePolicies", "managedPolicyArns", "namePrefix"]),
  outputs: ["arn", "createDate", "tagsAll", "uniqueId"],
  unread: new Set(["forceDetachPolicies"]),
  same: { assumeRolePolicy: sameJson },
  check: (inputs) => misfitsOfPolicy(inputs, "assumeRolePolicy"),

  async create(cloud, inputs) {
    const iam = await cloud.iam();
    const { CreateRoleCommand } = await sdk();
    const name = inputs.name as string;
    await told(`creating IAM Role (${name})`, "IAM: CreateRole", () =>
      iam.send(
        new CreateRoleCommand({
          RoleName: name,
          AssumeRolePolicyDocument: inputs.assumeRolePolicy as string,
          Description: inputs.description as string | undefined,
          MaxSessionDuration: inputs.maxSessionDuration as number,
          Path: inputs.path as string,
          Tags: listedTags(inputs),
        }),
      ),
    );
    return { id: name, outputs: (await roleKind.read(cloud, name, {})) ?? {} };
  },

  async read(cloud, id) {
    const iam = await cloud.iam();
    const { GetRoleCommand } = await sdk();
    const found = await unlessGone(
      gone,
      iam.send(new GetRoleCommand({ RoleName: id })),
    );
    const role = found?.Role;
    if (role === undefined) return undefined;
    const tags = tagsOf(role.Tags);
    return {
      arn: role.Arn,
      assumeRolePolicy: decodeURIComponent(role.AssumeRolePolicyDocument ?? ""),
      createDate: role.CreateDate?.toISOString(),
      description: role.Description,
      maxSessionDuration: role.MaxSessionDuration,
      name: role.RoleName,
      path: role.Path,
      tags,
      tagsAll: tags,
      uniqueId: role.RoleId,
    };
  },

  async update(cloud, id, _olds, news) {
    const iam = await cloud.iam();
    const { TagRoleCommand, UpdateAssumeRolePolicyCommand, UpdateRoleCommand } =
      await sdk();
    await iam.send(
      new UpdateAssumeRolePolicyCommand({
        RoleName: id,
        PolicyDocument: news.assumeRolePolicy as string,
      }),
    );
    await iam.send(
      new UpdateRoleCommand({
        RoleName: id,
        Description: (news.description as string | undefined) ?? "",
        MaxSessionDuration: news.maxSessionDuration as number,
      }),
    );
    const tags = listedTags(news);
    if (tags.length > 0) {
      await iam.send(new TagRoleCommand({ RoleName: id, Tags: tags }));
    }
    return (await roleKind.read(cloud, id, news)) ?? {};
  },

  async delete(cloud, id) {
    const iam = await cloud.iam();
    const { DeleteRoleCommand } = await sdk();
    await told(`deleting IAM Role (${id})`, "IAM: DeleteRole", () =>
      unlessGone(gone, iam.send(new DeleteRoleCommand({ RoleName: id }))),
    );
  },
};

export const rolePolicyKind: ResourceKind<AwsCloud> = {
  shape: shapes.ofResource("iam/rolePolicy", "RolePolicy"),
  nameProperty: "name",
  updatable: new Set(["policy"]),
  computed: new Set(["namePrefix"]),
  outputs: [],
  same: { policy: sameJson },
  check: (inputs) => misfitsOfPolicy(inputs, "policy"),

  async create(cloud, inputs) {
    await putRolePolicy(cloud, inputs);
    return { id: `${inputs.role}:${inputs.name}`, outputs: {} };
  },

  async read(cloud, id) {
    const [role = "", name = ""] = id.split(":");
    const iam = await cloud.iam();
    const { GetRolePolicyCommand } = await sdk();
    const found = await unlessGone(
      gone,
      iam.send(new GetRolePolicyCommand({ RoleName: role, PolicyName: name })),
    );
    if (found === undefined) return undefined;
    const policy = decodeURIComponent(found.PolicyDocument ?? "");
    return { name, role, policy };
  },

  async update(cloud, _id, _olds, news) {
    await putRolePolicy(cloud, news);
    return {};
  },

  async delete(cloud, id) {
    const [role = "", name = ""] = id.split(":");
    const iam = await cloud.iam();
    const { DeleteRolePolicyCommand } = await sdk();
    await unlessGone(
      gone,
      iam.send(
        new DeleteRolePolicyCommand({ RoleName: role, PolicyName: name }),
      ),
    );
  },
};

async function putRolePolicy(
  cloud: AwsCloud,
  { role, name, policy }: Properties,
): Promise<void> {
  const iam = await cloud.iam();
  const { PutRolePolicyCommand } = await sdk();
  await told(
    `putting IAM Role (${role}) Policy (${name})`,
    "IAM: PutRolePolicy",
    () =>
      iam.send(
        new PutRolePolicyCommand({
          RoleName: role as string,
          PolicyName: name as string,
          PolicyDocument: policy as string,
        }),
      ),
  );
}

export const openIdConnectProviderKind: ResourceKind<AwsCloud> = {
  shape: shapes.ofResource(
    "iam/openIdConnectProvider",
    "OpenIdConnectProvider",
  ),
  updatable: new Set(["clientIdLists", "tags", "thumbprintLists"]),
  computed: new Set(["thumbprintLists"]),
  outputs: ["arn", "tagsAll"],
  // IAM leaves out the scheme.
  same: { url: (old, wanted) => bare(old) === bare(wanted) },

  check({ url }) {
    if (url === unknown || /^https:\/\/[^?#]+$/.test(String(url))) return [];
    return [
      { property: "url", reason: `expected ${url} to be an https address` },
    ];
  },

  async create(cloud, inputs) {
    const iam = await cloud.iam();
    const { CreateOpenIDConnectProviderCommand } = await sdk();
    const { OpenIDConnectProviderArn: arn } = await told(
      "creating IAM OIDC Provider",
      "IAM: CreateOpenIDConnectProvider",
      () =>
        iam.send(
          new CreateOpenIDConnectProviderCommand({
            Url: inputs.url as string,
            ClientIDList: [...(inputs.clientIdLists as readonly string[])],
            ThumbprintList: [
              ...((inputs.thumbprintLists ?? []) as readonly string[]),
            ],
            Tags: listedTags(inputs),
          }),
        ),
    );
    const id = arn as string;
    const outputs = await openIdConnectProviderKind.read(cloud, id, {});
    return { id, outputs: outputs ?? {} };
  },

  async read(cloud, id) {
    const iam = await cloud.iam();
    const { GetOpenIDConnectProviderCommand } = await sdk();
    const found = await unlessGone(
      gone,
      iam.send(
        new GetOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: id }),
      ),
    );
    if (found === undefined) return undefined;
    const tags = tagsOf(found.Tags);
    return {
      arn: id,
      clientIdLists: found.ClientIDList ?? [],
      tags,
      tagsAll: tags,
      thumbprintLists: found.ThumbprintList ?? [],
      url: found.Url,
    };
  },

  async update(cloud, id, olds, news) {
    const iam = await cloud.iam();
    const {
      AddClientIDToOpenIDConnectProviderCommand,
      RemoveClientIDFromOpenIDConnectProviderCommand,
    } = await sdk();
    const old = olds.clientIdLists as readonly string[];
    const wanted = news.clientIdLists as readonly string[];
    const provider = { OpenIDConnectProviderArn: id };
    for (const ClientID of wanted.filter((each) => !old.includes(each))) {
      await iam.send(
        new AddClientIDToOpenIDConnectProviderCommand({
          ...provider,
          ClientID,
        }),
      );
    }
    for (const ClientID of old.filter((each) => !wanted.includes(each))) {
      await iam.send(
        new RemoveClientIDFromOpenIDConnectProviderCommand({
          ...provider,
          ClientID,
        }),
      );
    }
    return (await openIdConnectProviderKind.read(cloud, id, news)) ?? {};
  },

  async delete(cloud, id) {
    const iam = await cloud.iam();
    const { DeleteOpenIDConnectProviderCommand } = await sdk();
    await unlessGone(
      gone,
      iam.send(
        new DeleteOpenIDConnectProviderCommand({
          OpenIDConnectProviderArn: id,
        }),
      ),
    );
  },
};

function bare(url: Value): string {
  return String(url).replace(/^https:\/\//, "");
}
