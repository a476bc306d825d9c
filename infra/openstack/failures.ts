/** What OpenStack says when it does not do what it was asked, sorted and put into sentences. Pure. */

import { isConnectionFailure } from "../connectionFailure.ts";
import { PublicationError, UserError } from "../errors.ts";
import type { HttpAnswer } from "./httpRequest.ts";

/** An answer that is none of those that were wanted. */
export class OpenstackError extends Error {
  override name = "OpenstackError";
  readonly status: number;

  constructor({ status, text }: Pick<HttpAnswer, "status" | "text">) {
    super(`${status}: ${saidIn(text)}`);
    this.status = status;
  }
}

const passingStatuses = [408, 429, 500, 502, 503, 504];

/** Whether it may work when it is asked again. */
export function isPassing(error: unknown): boolean {
  if (error instanceof OpenstackError) {
    return passingStatuses.includes(error.status);
  }
  return isConnectionFailure(error);
}

/** The status of an answer that was not wanted. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof OpenstackError ? error.status : undefined;
}

/**
 * An error for people.
 *
 * @param task what was to be done, such as `delete the image 1f3a`
 * @param cloud its name
 */
export function openstackFailure(
  task: string,
  cloud: string,
  error: unknown,
): Error {
  const said = error instanceof Error ? error.message : String(error);
  const options = { cause: error };
  if (isPassing(error)) {
    return new PublicationError(
      `The cloud ${cloud} did not ${task} for as long as it was tried (${said}). Run again: it goes on with what is there.`,
      options,
    );
  }
  switch (statusOf(error)) {
    case 401:
      return new UserError(
        `The cloud ${cloud} does not know these credentials, and did not ${task} (${said}). Correct them in clouds.yaml or secure.yaml.`,
        options,
      );
    case 403:
      return new UserError(
        `The cloud ${cloud} does not let these credentials ${task} (${said}). Give their user a role in the project that may, or ask the cloud's operator; docs/openstack.md says what is needed.`,
        options,
      );
    case 413:
    case 507:
      return new PublicationError(
        `The cloud ${cloud} does not ${task}: its storage is full, or a quota is used up (${said}). Make room, or ask its operator for more, and run again.`,
        options,
      );
    default:
      return new PublicationError(
        `The cloud ${cloud} does not ${task} (${said}).`,
        options,
      );
  }
}

/** The longest text of a server that is repeated to people. */
const longestSaid = 300;

/** What an error's body says: Keystone's JSON, or Glance's page without its marks. */
function saidIn(body: string): string {
  const json = jsonMessage(body);
  const plain = (json ?? body.replace(/<[^>]*>/g, " "))
    .replace(/\s+/g, " ")
    .trim();
  return plain.slice(0, longestSaid) || "without a word";
}

function jsonMessage(body: string): string | undefined {
  try {
    const { error, message } = JSON.parse(body) as {
      error?: { message?: unknown };
      message?: unknown;
    };
    const said = error?.message ?? message;
    return typeof said === "string" ? said : undefined;
  } catch {
    return undefined;
  }
}
