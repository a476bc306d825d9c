/** Tokens of Keystone's API v3. */

import { z } from "zod";
import { PublicationError, UserError } from "../errors.ts";
import type { Cloud, Identity } from "./cloud.ts";
import { OpenstackError } from "./failures.ts";
import { sendRequest } from "./httpRequest.ts";

/** What Keystone gives: good for a while, in one project. */
export interface Token {
  /** A secret. */
  readonly value: string;
  /** When another one is to be asked for, in milliseconds since 1970. */
  readonly renewAt: number;
  readonly projectId: string;
  /** Where the Image API is, without its version. */
  readonly imageEndpoint: string;
}

/** A token is renewed so long before its end: clocks differ, and calls last. One that lives shorter, at its half. */
const reserveMilliseconds = 120_000;

const tokenSchema = z.object({
  token: z.object({
    expires_at: z.string().transform((moment) => Date.parse(moment)),
    project: z.object({ id: z.string() }).optional(),
    catalog: z
      .array(
        z.object({
          type: z.string(),
          endpoints: z.array(
            z.object({
              interface: z.string(),
              region: z.string().nullish(),
              url: z.string(),
            }),
          ),
        }),
      )
      .default([]),
  }),
});
type Catalog = z.output<typeof tokenSchema>["token"]["catalog"];

/**
 * Asks for a token.
 *
 * @throws {OpenstackError} when Keystone refuses, and the system's error when it is not reached.
 * @throws {UserError} when the project has no Image API there.
 * @throws {PublicationError} for an answer that is none.
 */
export async function fetchToken(
  cloud: Cloud,
  silenceSeconds: number,
): Promise<Token> {
  const answer = await sendRequest(
    {
      method: "POST",
      url: `${cloud.authUrl}/auth/tokens`,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ auth: authOf(cloud.identity) }),
    },
    cloud.tls,
    silenceSeconds,
  );
  if (answer.status !== 201) throw new OpenstackError(answer);
  const value = answer.headers["x-subject-token"];
  const parsed = tokenSchema.safeParse(jsonOf(answer.text));
  if (typeof value !== "string" || !parsed.success) {
    throw new PublicationError(
      `What answers at ${cloud.authUrl} is not Keystone's API v3. Correct auth.auth_url of the cloud ${cloud.name} in ${cloud.source}.`,
    );
  }
  const { expires_at, project, catalog } = parsed.data.token;
  if (project === undefined) {
    throw new UserError(
      `${cloud.source}: the cloud ${cloud.name}: the credentials belong to no project. Name one by auth.project_name.`,
    );
  }
  return {
    value,
    renewAt: renewalOf(expires_at),
    projectId: project.id,
    imageEndpoint: (cloud.imageEndpoint ?? endpointIn(catalog, cloud)).replace(
      /\/(v2\/?)?$/,
      "",
    ),
  };
}

function renewalOf(expiresAt: number): number {
  const now = Date.now();
  const half = (expiresAt - now) / 2;
  return Math.max(expiresAt - reserveMilliseconds, now + half);
}

function authOf(identity: Identity): object {
  if (identity.kind === "password") {
    const { user, password, project } = identity;
    return {
      identity: {
        methods: ["password"],
        password: { user: { ...user, password } },
      },
      scope: { project },
    };
  }
  const { credential, secret } = identity;
  return {
    identity: {
      methods: ["application_credential"],
      application_credential: { ...credential, secret },
    },
  };
}

function endpointIn(catalog: Catalog, cloud: Cloud): string {
  const all = catalog
    .filter(({ type }) => type === "image")
    .flatMap(({ endpoints }) => endpoints)
    .filter((endpoint) => endpoint.interface === cloud.interface);
  const found = all.filter(
    ({ region }) => cloud.region === undefined || region === cloud.region,
  );
  const [endpoint] = found;
  if (endpoint !== undefined && found.length === 1) return endpoint.url;
  const regions = [...new Set(all.map(({ region }) => region ?? ""))].sort();
  throw new UserError(
    regions.length === 0
      ? `The catalogue of the cloud ${cloud.name} has no Image API with the interface ${cloud.interface}. Correct \`interface\` in ${cloud.source}, or name the address by image_endpoint_override.`
      : `${cloud.source}: the cloud ${cloud.name}: region_name must be one of the regions that have an Image API: ${regions.join(", ")}.`,
  );
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
