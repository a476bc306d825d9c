/** Calls to a cloud that outlast what passes: a token that expires, servers that are busy, cut connections. */

import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import { type Patience, usualPatience } from "../aws/patientCaller.ts";
import { UserError } from "../errors.ts";
import type { Cloud, CloudAccess } from "./cloud.ts";
import { readCloud } from "./cloudsFile.ts";
import {
  isPassing,
  OpenstackError,
  openstackFailure,
  statusOf,
} from "./failures.ts";
import {
  type HttpAnswer,
  type HttpRequest,
  sendRequest,
} from "./httpRequest.ts";
import { fetchToken, type Token } from "./keystone.ts";

/** How long is waited for a cloud. */
export interface SessionSettings {
  readonly patience: Patience;
  /** How long a connection may rest. */
  readonly silenceSeconds: number;
  /** The same while a file is sent, and stored by whatever is behind Glance. */
  readonly uploadSilenceSeconds: number;
  /** How long Glance may take to notice that a sender has gone; uploads that it believes in then never end. */
  readonly settleSeconds: number;
}

/** Storage behind Glance may take minutes over the end of a large image before it answers. */
export const usualSettings: SessionSettings = {
  patience: usualPatience,
  silenceSeconds: 60,
  uploadSilenceSeconds: 900,
  settleSeconds: 15,
};

/** The same for a cloud that is to be waited for otherwise; nothing said changes nothing. */
export function waitingFor(
  settings: SessionSettings,
  seconds: number | undefined,
): SessionSettings {
  if (seconds === undefined) return settings;
  return { ...settings, patience: { ...settings.patience, seconds } };
}

/** A request to the Image API: its path below `/v2`, and the answers that are wanted. */
export interface ImageRequest extends Omit<HttpRequest, "url"> {
  readonly path: string;
  readonly statuses: readonly number[];
}

/** Addresses of the clouds that did not answer for as long as they were waited for, and not since. */
const silentClouds = new Set<string>();

/**
 * Someone's access to a cloud. Once a cloud has not answered for as long as patience lasts, each further call is made
 * once, until one of them is answered: twenty images do not wait twenty times for a cloud that is away.
 */
export class Session {
  readonly cloud: Cloud;
  readonly settings: SessionSettings;
  #token: Promise<Token> | undefined;
  /** The one that was not taken any more, whatever it says of its end. */
  #refused: Token | undefined;

  constructor(cloud: Cloud, settings: SessionSettings = usualSettings) {
    this.cloud = cloud;
    this.settings = settings;
  }

  /**
   * Opens what clouds.yaml, or the environment, describes.
   *
   * @throws {UserError} when that is incomplete.
   */
  static async open(
    access: CloudAccess,
    settings?: SessionSettings,
  ): Promise<Session> {
    return new Session(await readCloud(access), settings);
  }

  /** The project that it works in. */
  async projectId(): Promise<string> {
    const { projectId } = await this.#patiently("let us in", () =>
      this.#goodToken(),
    );
    return projectId;
  }

  /**
   * Makes one call, again and again while its failure may pass.
   *
   * @param task what is to be done, such as `delete the image 1f3a`, for messages
   * @param request must be harmless when done twice
   * @throws {UserError} when the credentials are wrong or may not do it.
   * @throws {PublicationError} when the cloud refuses, or does not answer for too long.
   * @throws {OpenstackError} for an answer that `isExpected`.
   */
  async call(
    task: string,
    request: ImageRequest,
    isExpected: (error: unknown) => boolean = () => false,
  ): Promise<HttpAnswer> {
    const attempt = () => this.attempt(request, this.settings.silenceSeconds);
    return this.#patiently(task, attempt, isExpected);
  }

  /**
   * Makes one call once; with another token where the one it had is not taken any more.
   *
   * @throws {OpenstackError} for an answer that is not wanted, the system's error of a connection that breaks.
   */
  async attempt(
    request: ImageRequest,
    silenceSeconds: number,
  ): Promise<HttpAnswer> {
    const token = await this.#goodToken();
    const isFile = typeof request.body === "object";
    try {
      return await this.#send(request, token, silenceSeconds);
    } catch (error) {
      if (statusOf(error) !== 401) throw error;
      this.#refused = token;
      // A file that was read cannot be sent again from here.
      if (isFile) throw error;
    }
    return this.#send(request, await this.#goodToken(), silenceSeconds);
  }

  async #send(
    { path, statuses, headers, ...request }: ImageRequest,
    { imageEndpoint, value }: Token,
    silenceSeconds: number,
  ): Promise<HttpAnswer> {
    const answer = await sendRequest(
      {
        ...request,
        url: `${imageEndpoint}/v2/${path}`,
        headers: { ...headers, "x-auth-token": value },
      },
      this.cloud.tls,
      silenceSeconds,
    );
    if (!statuses.includes(answer.status)) throw new OpenstackError(answer);
    return answer;
  }

  async #goodToken(): Promise<Token> {
    const known = this.#token;
    if (known !== undefined) {
      const token = await known;
      if (token !== this.#refused && Date.now() < token.renewAt) return token;
    }
    // Calls side by side: the first one fetches, for all of them.
    if (this.#token === known) {
      const fetched = fetchToken(this.cloud, this.settings.silenceSeconds);
      this.#token = fetched;
      fetched.catch(() => {
        if (this.#token === fetched) this.#token = undefined;
      });
    }
    return this.#token ?? this.#goodToken();
  }

  async #patiently<T>(
    task: string,
    attempt: () => Promise<T>,
    isExpected: (error: unknown) => boolean = () => false,
  ): Promise<T> {
    const { seconds, firstPauseSeconds, longestPauseSeconds } =
      this.settings.patience;
    const { authUrl, name } = this.cloud;
    try {
      const result = await pRetry(attempt, {
        retries: Number.POSITIVE_INFINITY,
        maxRetryTime: seconds * 1000,
        minTimeout: firstPauseSeconds * 1000,
        maxTimeout: longestPauseSeconds * 1000,
        async shouldRetry({ error, retryDelay }) {
          if (!isPassing(error) || isExpected(error)) return false;
          if (silentClouds.has(authUrl)) return false;
          // Also the longest pauses differ: what was refused together does not come back together.
          await sleep(Math.random() * retryDelay);
          return true;
        },
      });
      silentClouds.delete(authUrl);
      return result;
    } catch (error) {
      if (isPassing(error) && !isExpected(error)) silentClouds.add(authUrl);
      else silentClouds.delete(authUrl);
      if (isExpected(error) || error instanceof UserError) throw error;
      throw openstackFailure(task, name, error);
    }
  }
}
