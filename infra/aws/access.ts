/** How AWS, or a server that speaks its protocols, is reached. Never holds a credential. */

import { z } from "zod";

/** The settings of one region of one account. */
export const awsAccessSchema = z.strictObject({
  region: z
    .string()
    .regex(
      /^[a-z]{2}(-[a-z]+)+-[0-9]+$/,
      "must be the name of a region, such as eu-central-1",
    ),
  account: z
    .string()
    .regex(/^[0-9]{12}$/, "must be an account's 12 digits, in quotes")
    .optional()
    .describe("The only account that may be changed"),
  profile: z
    .string()
    .regex(/^[\w.@+-]+$/, "must be the name of a profile")
    .optional()
    .describe(
      "A profile of the AWS configuration files; the usual chain of credentials when left out",
    ),
  assumeRole: z
    .string()
    .regex(
      /^arn:aws[a-z-]*:iam::[0-9]{12}:role\/[\w+=,.@/-]+$/,
      "must be the ARN of a role",
    )
    .optional()
    .describe("A role to take on, with those credentials"),
  endpoint: z
    .url({ protocol: /^https?$/, error: "must be the address of a server" })
    .refine(
      (address) => !address.includes("@"),
      "must have no user name or password",
    )
    .optional()
    .describe("Another server than Amazon's, for all of its services"),
});

/** One region of one account, and whose credentials are used there. */
export type AwsAccess = Readonly<z.output<typeof awsAccessSchema>>;

/** Whether two settings lead to different places. Pure. */
export function isAnotherPlace(one: AwsAccess, other: AwsAccess): boolean {
  // An account that was not named before, or is not any more, is no other one: what it is was checked, and is again.
  const isAnotherAccount =
    one.account !== undefined &&
    other.account !== undefined &&
    one.account !== other.account;
  return (
    isAnotherAccount ||
    one.region !== other.region ||
    one.endpoint !== other.endpoint
  );
}
