/** How Azure, or a server that speaks the protocol of its blobs, is reached. Never holds a credential. */

import { z } from "zod";

const guid = z
  .string()
  .regex(
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    "must be an id such as 01234567-89ab-cdef-0123-456789abcdef",
  );

const tenantSchema = guid
  .optional()
  .describe(
    "The directory of Entra that knows the credentials; what they say themselves when left out",
  );

/** A subscription, and whose credentials are used there. */
export const subscriptionAccessSchema = z.strictObject({
  subscription: guid,
  tenant: tenantSchema,
});
export type SubscriptionAccess = Readonly<
  z.output<typeof subscriptionAccessSchema>
>;

/** One container of a storage account. Names: learn.microsoft.com, "Naming and referencing containers, blobs". */
export const blobAccessSchema = z.strictObject({
  account: z
    .string()
    .regex(
      /^[a-z0-9]{3,24}$/,
      "must be the name of a storage account: 3 to 24 lower-case letters and digits",
    ),
  container: z
    .string()
    .regex(
      /^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/,
      "must be the name of a container: 3 to 63 lower-case letters, digits and single hyphens",
    ),
  tenant: tenantSchema,
  secretFrom: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]*$/, "must be the name of an environment variable")
    .optional()
    .describe(
      "The environment variable that has the account's key or a connection string; credentials of Entra when left out",
    ),
  endpoint: z
    .url({ protocol: /^https?$/, error: "must be the address of a server" })
    .refine(
      (address) => !/[@?#]/.test(address),
      "must have no user name, password or token",
    )
    .optional()
    .describe("Another server than Azure's, which has accounts in its paths"),
});

/** One container, and whose credentials are used there. */
export type BlobAccess = Readonly<z.output<typeof blobAccessSchema>>;

/** The address of a container; those of its blobs begin with it and a slash. */
export function containerUrl({
  account,
  container,
  endpoint,
}: Pick<BlobAccess, "account" | "container" | "endpoint">): string {
  const server =
    endpoint === undefined
      ? `https://${account}.blob.core.windows.net`
      : `${endpoint.replace(/\/$/, "")}/${account}`;
  return `${server}/${container}`;
}
