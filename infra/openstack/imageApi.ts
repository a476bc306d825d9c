/** What is used of Glance's Image API v2. */

import { z } from "zod";
import { PublicationError } from "../errors.ts";
import { statusOf } from "./failures.ts";
import type { FileBody } from "./httpRequest.ts";
import type { Session } from "./session.ts";

/** Who sees an image besides its project. */
export const visibilities = [
  "private",
  "shared",
  "community",
  "public",
] as const;
export type Visibility = (typeof visibilities)[number];

const imageSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  name: z.string().nullish(),
  owner: z.string().nullish(),
  visibility: z.string(),
  os_hidden: z.boolean().default(false),
  disk_format: z.string().nullish(),
  min_disk: z.number().nullish(),
  size: z.number().nullish(),
  os_hash_algo: z.string().nullish(),
  os_hash_value: z.string().nullish(),
});

/** An image, with its properties beside the fields that every image has. */
export type Image = z.output<typeof imageSchema>;

const listSchema = z.object({
  images: z.array(imageSchema),
  next: z.string().optional(),
});
const membersSchema = z.object({
  members: z.array(z.object({ member_id: z.string() })),
});

/** Fields and properties by their names. */
export type ImageFields = Readonly<Record<string, string | number | boolean>>;

/** Glance answers with no more at once, whatever is asked for (`limit_param_default`, `api_limit_max`). */
const pageSize = 100;

const jsonType = { "content-type": "application/json" };
const patchType = {
  "content-type": "application/openstack-images-v2.1-json-patch",
};

/** The Image API of one cloud. Every call is harmless when done twice, and patient. */
export class ImageApi {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Makes an image without content.
   *
   * @param fields with an `id` of the caller's choice
   * @returns `undefined` when the id is, or was, another image's.
   */
  async create(fields: ImageFields): Promise<Image | undefined> {
    const isTaken = (error: unknown) => statusOf(error) === 409;
    try {
      const { text } = await this.#session.call(
        `create an image of visibility ${fields.visibility}`,
        {
          method: "POST",
          path: "images",
          headers: jsonType,
          body: JSON.stringify(fields),
          statuses: [201],
        },
        isTaken,
      );
      return this.#parsed(imageSchema, text);
    } catch (error) {
      if (isTaken(error)) return undefined;
      throw error;
    }
  }

  /** An image, or `undefined` where there is none that may be seen. */
  async find(id: string): Promise<Image | undefined> {
    const text = await this.#unlessGone(`look at the image ${id}`, {
      method: "GET",
      path: `images/${id}`,
      statuses: [200],
    });
    return text === undefined ? undefined : this.#parsed(imageSchema, text);
  }

  /** All images of the session's project that have these properties, hidden or not. */
  async list(properties: ImageFields): Promise<readonly Image[]> {
    const owner = await this.#session.projectId();
    const found: Image[] = [];
    for (const os_hidden of [false, true]) {
      const query = new URLSearchParams({
        ...Object.fromEntries(
          Object.entries(properties).map(([name, value]) => [
            name,
            String(value),
          ]),
        ),
        ...{ owner, visibility: "all", os_hidden: String(os_hidden) },
        limit: String(pageSize),
      });
      let path: string | undefined = `images?${query}`;
      while (path !== undefined) {
        const { text } = await this.#session.call("list images", {
          ...{ method: "GET", path, statuses: [200] },
        });
        const { images, next } = this.#parsed(listSchema, text);
        found.push(...images);
        path = next?.replace(/^\/v2\//, "");
      }
    }
    // A cloud that knows not all of the filters answers with more.
    return found.filter(
      (image) =>
        image.owner === owner &&
        Object.entries(properties).every(
          ([name, value]) => image[name] === value,
        ),
    );
  }

  /** Sets fields and properties of an image, and takes properties away. */
  async change(
    image: Image,
    wanted: ImageFields,
    goneNames: readonly string[] = [],
  ): Promise<void> {
    const operations = [
      ...Object.entries(wanted)
        .filter(([name, value]) => image[name] !== value)
        .map(([name, value]) => ({
          op: name in image ? "replace" : "add",
          path: `/${name}`,
          value,
        })),
      ...goneNames
        .filter((name) => name in image && !(name in wanted))
        .map((name) => ({ op: "remove", path: `/${name}` })),
    ];
    if (operations.length === 0) return;
    await this.#session.call(
      `set ${operations.map(({ path }) => path.slice(1)).join(", ")} of the image ${image.id}`,
      {
        method: "PATCH",
        path: `images/${image.id}`,
        headers: patchType,
        body: JSON.stringify(operations),
        statuses: [200],
      },
    );
  }

  /**
   * Sends an image's content, once and without patience: it is for the caller to look what became of it.
   *
   * @throws {OpenstackError} for an answer that is not wanted, the system's error of a connection that breaks.
   */
  async upload(id: string, file: FileBody): Promise<void> {
    await this.#session.attempt(
      {
        method: "PUT",
        path: `images/${id}/file`,
        headers: { "content-type": "application/octet-stream" },
        body: file,
        statuses: [204],
      },
      this.#session.settings.uploadSilenceSeconds,
    );
  }

  /**
   * Removes an image; one that is not there is no error.
   *
   * @throws {PublicationError} when it is in use, or protected.
   */
  async remove(id: string): Promise<void> {
    await this.#unlessGone(`delete the image ${id}`, {
      method: "DELETE",
      path: `images/${id}`,
      statuses: [204],
    });
  }

  /** The projects that an image is shared with. */
  async members(id: string): Promise<readonly string[]> {
    const { text } = await this.#session.call(
      `list with whom the image ${id} is shared`,
      { method: "GET", path: `images/${id}/members`, statuses: [200] },
    );
    const { members } = this.#parsed(membersSchema, text);
    return members.map(({ member_id }) => member_id);
  }

  async addMember(id: string, project: string): Promise<void> {
    await this.#session.call(`share the image ${id} with ${project}`, {
      method: "POST",
      path: `images/${id}/members`,
      headers: jsonType,
      body: JSON.stringify({ member: project }),
      // It is one already.
      statuses: [200, 409],
    });
  }

  async removeMember(id: string, project: string): Promise<void> {
    await this.#unlessGone(`share the image ${id} no more with ${project}`, {
      method: "DELETE",
      path: `images/${id}/members/${project}`,
      statuses: [204],
    });
  }

  async #unlessGone(
    task: string,
    request: Parameters<Session["call"]>[1],
  ): Promise<string | undefined> {
    const isGone = (error: unknown) =>
      [404, 410].includes(statusOf(error) ?? 0);
    try {
      const { text } = await this.#session.call(task, request, isGone);
      return text;
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  #parsed<T>(schema: z.ZodType<T>, text: string): T {
    const parsed = schema.safeParse(jsonOf(text));
    if (parsed.success) return parsed.data;
    throw new PublicationError(
      `What answers as the Image API of the cloud ${this.#session.cloud.name} is not the Image API v2. Correct image_endpoint_override of the cloud in ${this.#session.cloud.source}, or ask its operator.`,
    );
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
