/** Which cloud of OpenStack: what resources carry as an input. It has no credentials, and says where they are. */

import { z } from "zod";

export const cloudAccessSchema = z.strictObject({
  cloud: z
    .string()
    .regex(/^[\w.-]+$/, "must be the name of a cloud in clouds.yaml")
    .describe(
      "The cloud's name in clouds.yaml; `envvars` stands for the variables OS_*",
    ),
  region: z
    .string()
    .min(1)
    .optional()
    .describe("Instead of the region that clouds.yaml says"),
});
export type CloudAccess = z.output<typeof cloudAccessSchema>;

/** By what a program proves to Keystone who it is, and the project that it works in. */
export type Identity =
  | {
      readonly kind: "password";
      readonly user: Named;
      readonly password: string;
      readonly project: Named;
    }
  | {
      readonly kind: "application credential";
      /** By its id, or by its name and its user. */
      readonly credential: { readonly id: string } | CredentialOfUser;
      readonly secret: string;
    };

/** Something that is known by its id, or by its name within a domain. */
export type Named =
  | { readonly id: string }
  | { readonly name: string; readonly domain: Domain };
export type Domain = { readonly id: string } | { readonly name: string };

interface CredentialOfUser {
  readonly name: string;
  readonly user: Named;
}

/** How a cloud is reached, secrets included: never part of an input, an output or a message. */
export interface Cloud {
  /** For messages: its name, and the file that describes it. */
  readonly name: string;
  readonly source: string;
  /** Of Keystone, with its version: it ends in `/v3`. */
  readonly authUrl: string;
  readonly identity: Identity;
  /** None where the catalogue has only one. */
  readonly region?: string | undefined;
  readonly interface: "public" | "internal" | "admin";
  /** Where Glance is, instead of where the catalogue says. */
  readonly imageEndpoint?: string | undefined;
  readonly tls: TlsSettings;
}

/** What is asked of servers' certificates. */
export interface TlsSettings {
  /** The authority's certificates, instead of those that the system trusts. */
  readonly ca?: string | undefined;
  readonly verify: boolean;
}
