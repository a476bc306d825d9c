/** Places in buckets, and how they are reached, as texts without secrets: what resources carry as an input. Pure. */

import { z } from "zod";
import type { Difference } from "../dynamic/provider.ts";
import { UserError } from "../errors.ts";
import { isSafeName } from "./names.ts";

/** Where in a bucket. */
export const prefixSchema = z
  .string()
  .refine(isSafeName, "must be a path without a slash at either end")
  .optional()
  .describe("Where in the bucket; all of it when left out");

/** A place: what it is called by, where in it, and how it is reached. All are texts. */
export type BucketPlace = Readonly<Record<string, string | undefined>> & {
  readonly prefix?: string | undefined;
  /** Another server than the service's own. */
  readonly endpoint?: string | undefined;
};

/** The addresses of one service: `s3://bucket/prefix?region=…`. */
export class PlaceAddresses<Place extends BucketPlace> {
  readonly #scheme: string;
  readonly #steps: readonly (keyof Place & string)[];
  readonly #schema: z.ZodType<Place>;

  /**
   * @param scheme what they begin with, such as `s3://`
   * @param steps the settings that come before the prefix, and say which bucket it is
   */
  constructor(
    scheme: string,
    steps: readonly (keyof Place & string)[],
    schema: z.ZodType<Place>,
  ) {
    this.#scheme = scheme;
    this.#steps = steps;
    this.#schema = schema;
  }

  /** Whether a text is such an address. */
  is(text: string): boolean {
    return text.startsWith(this.#scheme);
  }

  /** The place as people write it: `s3://bucket/prefix`. */
  shown(place: Place): string {
    const steps = [...this.#steps.map((step) => place[step]), place.prefix];
    return this.#scheme + steps.filter((step) => step !== undefined).join("/");
  }

  /** `s3://bucket/prefix?region=…`, with the settings sorted by name: the same for the same place and settings. */
  of(place: Place): string {
    const settings = new URLSearchParams();
    for (const [name, value] of Object.entries(place)) {
      if (name === "prefix" || this.#steps.includes(name)) continue;
      if (value !== undefined) settings.set(name, value);
    }
    settings.sort();
    const query = settings.size === 0 ? "" : `?${settings}`;
    return `${this.shown(place)}${query}`;
  }

  /**
   * What {@link of} made an address from.
   * @throws {UserError} for a text that it does not give.
   */
  placeOf(address: string): Place {
    const [path = "", query = ""] = address
      .slice(this.#scheme.length)
      .split("?");
    const steps = path.split("/");
    const bucket = this.#steps.map((name, index) => [name, steps[index]]);
    const prefix = steps.slice(this.#steps.length).join("/");
    const parsed = this.#schema.safeParse({
      ...Object.fromEntries(new URLSearchParams(query)),
      ...Object.fromEntries(bucket),
      ...(steps.length > this.#steps.length ? { prefix } : {}),
    });
    if (parsed.success && this.is(address)) return parsed.data;
    const faults = parsed.error?.issues.map(
      ({ path, message }) => `${path.join(".")}: ${message}`,
    );
    throw new UserError(
      `${JSON.stringify(address)} is no address of a bucket (${faults?.join("; ") ?? `it does not begin with ${this.#scheme}`}). Correct what the stack's configuration says of it.`,
    );
  }

  /** What of an address says which place it is, and not how it is reached. */
  identityOf(address: string): string {
    const place = this.placeOf(address);
    const name = this.shown(place);
    return place.endpoint === undefined ? name : `${name} at ${place.endpoint}`;
  }
}

/**
 * What another address, under the input `name`, means for a resource: another place calls for a new one, while a bucket that is
 * reached in another way, by another profile or role, is still the same.
 *
 * @param identity of an address
 */
export function placeDifference(
  name: string,
  before: string,
  after: string,
  identity: (address: string) => string,
): Difference {
  if (before === after) return { replaces: [], updates: [] };
  return identity(before) === identity(after)
    ? { replaces: [], updates: [name] }
    : { replaces: [name], updates: [] };
}
