/** What goes wrong with AWS's APIs, as rules for the proxy. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  type ApiAnswer,
  type ApiCall,
  apiError,
  type ProxyRule,
} from "./awsProxy.ts";

type Matches = (call: ApiCall) => boolean;

/** Answers all matching calls that way. */
export function answerWith(
  matches: Matches,
  answer: (call: ApiCall) => ApiAnswer,
): ProxyRule {
  return { matches, act: (call) => answer(call) };
}

/** Lets a fault happen to the first matching calls alone. */
export function firstCalls(count: number, rule: ProxyRule): ProxyRule {
  let left = count;
  return {
    matches: (call) => left > 0 && rule.matches(call),
    act(call, forward) {
      left--;
      return rule.act(call, forward);
    },
  };
}

/** Lets a fault happen for a time, counted from the first matching call. */
export function forMilliseconds(
  milliseconds: number,
  rule: ProxyRule,
): ProxyRule {
  let end: number | undefined;
  return {
    matches(call) {
      if (!rule.matches(call)) return false;
      end ??= performance.now() + milliseconds;
      return performance.now() < end;
    },
    act: (call, forward) => rule.act(call, forward),
  };
}

/** Says that calls come too fast, as each service words it. */
export function throttle(matches: Matches): ProxyRule {
  return answerWith(matches, (call) =>
    call.service === "ebs"
      ? apiError(call, 400, "RequestThrottledException", "Slow down.", {
          Reason: "ACCOUNT_THROTTLED",
        })
      : apiError(call, 503, "RequestLimitExceeded", "Request limit exceeded."),
  );
}

/** Answers 500. */
export function serverError(matches: Matches): ProxyRule {
  return answerWith(matches, (call) =>
    apiError(
      call,
      500,
      call.service === "ebs" ? "InternalServerException" : "InternalError",
      "An internal error has occurred.",
    ),
  );
}

/** Ends the connection before the call got anywhere. */
export function cutBefore(matches: Matches): ProxyRule {
  return answerWith(matches, () => "cut");
}

/** Ends the connection after the call took effect: its answer is lost. */
export function cutAfter(matches: Matches): ProxyRule {
  return {
    matches,
    async act(call, forward): Promise<ApiAnswer> {
      await forward(call);
      return "cut";
    },
  };
}

/** Refuses with a code; of quota, permission, or what a service has of its own. */
export function refuse(
  matches: Matches,
  code: string,
  message: string,
  status = 400,
): ProxyRule {
  return answerWith(matches, (call) => apiError(call, status, code, message));
}

/** Answers later. */
export function delay(matches: Matches, milliseconds: number): ProxyRule {
  return {
    matches,
    async act(call, forward) {
      await sleep(milliseconds);
      return forward(call);
    },
  };
}

/** Turns a bit of what is sent. */
export function corruptRequest(matches: Matches): ProxyRule {
  return {
    matches,
    act: (call, forward) => forward({ ...call, body: flipped(call.body) }),
  };
}

/** Turns a bit of what is answered. */
export function corruptAnswer(matches: Matches): ProxyRule {
  return {
    matches,
    async act(call, forward) {
      const answer = await forward(call);
      if (answer === "cut") return answer;
      return { ...answer, body: flipped(answer.body) };
    },
  };
}

/** Refuses credentials, as AWS does when a session has come to its end. */
export function expireCredentials(
  isExpired: (accessKeyId: string) => boolean,
): ProxyRule {
  return answerWith(
    (call) => isExpired(call.accessKeyId),
    (call) =>
      call.service === "ec2"
        ? apiError(call, 400, "RequestExpired", "Request has expired.")
        : apiError(
            call,
            403,
            call.service === "ebs" ? "ExpiredTokenException" : "ExpiredToken",
            "The security token included in the request is expired",
          ),
  );
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  if (copy.length > 0) copy.writeUInt8(copy.readUInt8(middle) ^ 1, middle);
  return copy;
}
