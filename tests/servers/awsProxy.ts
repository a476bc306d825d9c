/** Stands before moto and sees every call of AWS's APIs. */

import {
  type ApiAnswer,
  type ApiCall,
  ApiProxy,
  type ApiRequest,
  type CallDescription,
  isCall,
  type ProxyRule,
} from "./apiProxy.ts";
import { motoAccount } from "./moto.ts";
import { cloudStorageError } from "./strictCloudStorage.ts";

export {
  type ApiAnswer,
  type ApiCall,
  type Forward,
  isCall,
  jsonAnswer,
  type ProxyRule,
  type SeenCall,
} from "./apiProxy.ts";

/** A running proxy before moto. */
export type AwsProxy = ApiProxy;
export const AwsProxy = {
  /**
   * Starts a proxy.
   *
   * @param moto address of the server behind it
   * @param rules the first one sees a call first
   */
  start(moto: string, rules: readonly ProxyRule[] = []): Promise<AwsProxy> {
    /** Of credentials that came from taking on a role. */
    const accounts = new Map<string, string>();
    const noteAccount: ProxyRule = {
      matches: isCall("sts", "AssumeRole"),
      async act(call, forward) {
        const answer = await forward(call);
        const text = answer === "cut" ? "" : answer.body.toString();
        const [, id] = /<AccessKeyId>(.*?)</.exec(text) ?? [];
        const account = call.parameters.get("RoleArn")?.split(":")[4];
        if (id && account) accounts.set(id, account);
        return answer;
      },
    };
    return ApiProxy.start(
      moto,
      (request) => describeAwsCall(request, accounts),
      [noteAccount, ...rules],
    );
  },
};

function describeAwsCall(
  { method, path, headers, body }: ApiRequest,
  accounts: ReadonlyMap<string, string>,
): CallDescription {
  // AWS4-HMAC-SHA256 Credential=<key id>/<date>/<region>/<service>/aws4_request, …
  const [, accessKeyId = "", region = "", service = ""] =
    /Credential=([^/]+)\/[0-9]+\/([^/]+)\/([^/]+)\//.exec(
      headers.authorization ?? "",
    ) ?? [];
  const url = new URL(path, "http://any");
  const isForm = /form-urlencoded/.test(headers["content-type"] ?? "");
  const parameters = isForm
    ? new URLSearchParams(body.toString())
    : url.searchParams;
  const action =
    parameters.get("Action") ??
    headers["x-amz-target"]?.split(".").at(-1) ??
    restAction(service, method, url);
  const account = accounts.get(accessKeyId) ?? motoAccount;
  return { service, action, region, accessKeyId, account, parameters };
}

/** The action of a call whose protocol has it in method and path. */
function restAction(service: string, method: string, url: URL): string {
  const call = `${method} ${url.pathname}`;
  if (service === "ebs") {
    if (call === "POST /snapshots") return "StartSnapshot";
    if (/^POST \/snapshots\/completion\//.test(call)) return "CompleteSnapshot";
    if (/^PUT \/snapshots\/[^/]+\/blocks\//.test(call)) {
      return "PutSnapshotBlock";
    }
    if (/^GET \/snapshots\/[^/]+\/blocks\/./.test(call)) {
      return "GetSnapshotBlock";
    }
    if (/^GET \/snapshots\/[^/]+\/blocks\/?$/.test(call)) {
      return "ListSnapshotBlocks";
    }
    if (/^GET \/snapshots\/[^/]+\/changedblocks$/.test(call)) {
      return "ListChangedBlocks";
    }
  }
  // The SDK names the operation of a REST call.
  return url.searchParams.get("x-id") ?? method;
}

/** An error as the service of a call words it: those of AWS, and those that keep objects elsewhere. */
export function apiError(
  { service }: Pick<ApiCall, "service">,
  status: number,
  code: string,
  message: string,
  members: Readonly<Record<string, string>> = {},
): ApiAnswer {
  if (service === "ebs" || service === "ssm") {
    return {
      status,
      headers: { "content-type": "application/json", "x-amzn-errortype": code },
      body: Buffer.from(
        JSON.stringify({ __type: code, Message: message, ...members }),
      ),
    };
  }
  if (service === "gcs") return cloudStorageError(status, code, message);
  const error = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  const texts: Readonly<Record<string, string>> = {
    blob: error,
    ec2: `<Response><Errors>${error}</Errors><RequestID>1</RequestID></Response>`,
    s3: error,
  };
  const text = texts[service] ?? `<ErrorResponse>${error}</ErrorResponse>`;
  return {
    status,
    headers: {
      "content-type": service === "blob" ? "application/xml" : "text/xml",
      ...(service === "blob" ? { "x-ms-error-code": code } : {}),
    },
    body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>${text}`),
  };
}
