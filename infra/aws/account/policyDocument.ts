/** Policies of IAM and S3 as data. Pure. */

/** Names of condition keys to the values that they may have. */
type ConditionValues = Readonly<Record<string, string | readonly string[]>>;

/** One statement. */
export interface PolicyStatement {
  /** Says what it is for. Letters and digits. */
  readonly Sid: string;
  readonly Effect: "Allow" | "Deny";
  /** Who; in policies of roles' trust and of buckets only. */
  readonly Principal?: "*" | Readonly<Record<string, string>>;
  readonly Action: readonly string[] | string;
  /** What on; not in policies of trust. */
  readonly Resource?: readonly string[];
  readonly Condition?: Readonly<Record<string, ConditionValues>>;
}

/** A whole policy. */
export interface PolicyDocument {
  /** Of the language. */
  readonly Version: "2012-10-17";
  readonly Statement: readonly PolicyStatement[];
}

export function policyDocument(
  statements: readonly (PolicyStatement | undefined)[],
): PolicyDocument {
  return {
    Version: "2012-10-17",
    Statement: statements.filter((statement) => statement !== undefined),
  };
}

/** The partition that a region is in, as ARNs name it. */
export function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  if (region.startsWith("us-gov-")) return "aws-us-gov";
  return "aws";
}

/** What a document allows, each action once, sorted. */
export function allowedActions({ Statement }: PolicyDocument): string[] {
  const actions = Statement.filter(({ Effect }) => Effect === "Allow").flatMap(
    ({ Action }) => Action,
  );
  return [...new Set(actions)].sort();
}
