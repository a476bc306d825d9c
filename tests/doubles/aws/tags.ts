/** Tags of EC2's resources. */

import type { EC2Client, Tag } from "@aws-sdk/client-ec2";
import { isObject, type Properties } from "../values.ts";
import { told } from "./failures.ts";

/** Tags as @pulumi/aws has them. */
export function tagsOf(
  tags: readonly Pick<Tag, "Key" | "Value">[] = [],
): Properties {
  return Object.fromEntries(
    tags.map(({ Key = "", Value = "" }) => [Key, Value]),
  );
}

/** Tags as most services have them. */
export function listedTags(
  inputs: Properties,
): Array<{ Key: string; Value: string }> {
  return Object.entries(isObject(inputs.tags) ? inputs.tags : {}).map(
    ([Key, Value]) => ({ Key, Value: String(Value) }),
  );
}

/** Makes tags of a resource of EC2 what the new inputs say. */
export async function changeTags(
  ec2: EC2Client,
  id: string,
  olds: Properties,
  news: Properties,
): Promise<void> {
  const { CreateTagsCommand, DeleteTagsCommand } = await import(
    "@aws-sdk/client-ec2"
  );
  const wanted = listedTags(news);
  const keys = wanted.map(({ Key }) => Key);
  const old = listedTags(olds);
  const dropped = old.filter(({ Key }) => !keys.includes(Key));
  const set = wanted.filter(
    ({ Key, Value }) =>
      !old.some((tag) => tag.Key === Key && tag.Value === Value),
  );
  if (dropped.length > 0) {
    await told(`updating tags of ${id}`, "EC2: DeleteTags", () =>
      ec2.send(new DeleteTagsCommand({ Resources: [id], Tags: dropped })),
    );
  }
  if (set.length > 0) {
    await told(`setting tags of ${id}`, "EC2: CreateTags", () =>
      ec2.send(new CreateTagsCommand({ Resources: [id], Tags: set })),
    );
  }
}
