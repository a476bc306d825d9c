/** Which actions of IAM this project's calls of AWS need, found in its sources. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Calls whose action has another name, or several; of the others, action and call are called the same. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  // Answers everybody who has credentials.
  "sts:GetCallerIdentity": [],
  "s3:CompleteMultipartUpload": ["s3:PutObject"],
  "s3:CopyObject": ["s3:GetObject", "s3:PutObject"],
  "s3:CreateMultipartUpload": ["s3:PutObject"],
  "s3:HeadObject": ["s3:GetObject"],
  "s3:ListMultipartUploads": ["s3:ListBucketMultipartUploads"],
  "s3:ListObjectsV2": ["s3:ListBucket"],
  "s3:UploadPartCopy": ["s3:GetObject", "s3:PutObject"],
};

/**
 * The calls that @pulumi/aws makes for a resource, from the sources of the Terraform provider that it is made of.
 * It asks for EC2's GetInstanceUefiData as well, and goes on without an answer when that is refused.
 */
const resourceActions: Readonly<Record<string, readonly string[]>> = {
  "ec2/ami": [
    "ec2:CreateTags",
    "ec2:DeleteTags",
    "ec2:DeregisterImage",
    "ec2:DescribeImages",
    "ec2:DisableImageDeprecation",
    "ec2:EnableImageDeprecation",
    "ec2:ModifyImageAttribute",
    "ec2:RegisterImage",
  ],
  "ec2/amiCopy": [
    "ec2:CopyImage",
    "ec2:CreateTags",
    "ec2:DeleteSnapshot",
    "ec2:DeleteTags",
    "ec2:DeregisterImage",
    "ec2:DescribeImages",
    "ec2:DisableImageDeprecation",
    "ec2:EnableImageDeprecation",
    "ec2:ModifyImageAttribute",
  ],
  "ec2/amiLaunchPermission": [
    "ec2:DescribeImageAttribute",
    "ec2:ModifyImageAttribute",
  ],
  "ssm/parameter": [
    "ssm:DeleteParameter",
    "ssm:DescribeParameters",
    "ssm:GetParameter",
    "ssm:ListTagsForResource",
    "ssm:PutParameter",
  ],
  provider: [],
};

/**
 * The actions that all calls in the sources below a directory need, each once, sorted.
 *
 * @param excluded directories that other credentials run
 * @throws for a resource of @pulumi/aws of which the calls are not known.
 */
export async function neededActions(
  directory: string,
  excluded: readonly string[],
): Promise<readonly string[]> {
  const entries = await readdir(directory, {
    recursive: true,
    withFileTypes: true,
  });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => !excluded.some((each) => path.startsWith(each)));
  const texts = await Promise.all(files.map((path) => readFile(path, "utf8")));
  return [...new Set(texts.flatMap(actionsOf))].sort();
}

/** The actions that one source needs. Pure. */
export function actionsOf(source: string): readonly string[] {
  const imports = source.matchAll(
    /import\s+(type\s+)?([\w{},\s]+?)\s+from\s+"([^"]+)"/g,
  );
  return [...imports].flatMap(([, isType, names = "", from = ""]) => {
    if (isType !== undefined) return [];
    const [, service] = /^@aws-sdk\/client-(\w+)$/.exec(from) ?? [];
    if (service !== undefined) return callsOf(service, names);
    const [, resource] = /^@pulumi\/aws\/(.+)\.js$/.exec(from) ?? [];
    if (resource !== undefined) return actionsOfResource(resource);
    // Uploads in parts, or in one.
    return from === "@aws-sdk/lib-storage"
      ? ["s3:AbortMultipartUpload", "s3:PutObject"]
      : [];
  });
}

function callsOf(service: string, names: string): readonly string[] {
  const values = names
    .split(/[{},]/)
    .map((name) => name.trim())
    .filter((name) => !name.startsWith("type "));
  return values.flatMap((name) => {
    const [, command] = /^(\w+)Command$/.exec(name) ?? [];
    const [, paginated] = /^paginate(\w+)$/.exec(name) ?? [];
    const call = command ?? paginated;
    if (/^waitUntil/.test(name)) {
      throw new Error(`Say in this test which call ${name} makes.`);
    }
    if (call === undefined) return [];
    const action = `${service}:${call}`;
    return otherNames[action] ?? [action];
  });
}

function actionsOfResource(resource: string): readonly string[] {
  const actions = resourceActions[resource];
  if (actions === undefined) {
    throw new Error(
      `Say in this test which calls @pulumi/aws makes for ${resource}.`,
    );
  }
  return actions;
}
