/** Addresses that GitLab calls. */

import { ProjectHook, type ProjectHookArgs } from "@pulumi/gitlab";
import * as pulumi from "@pulumi/pulumi";
import type { ProjectScope } from "./project.ts";
import { hookEvents, type WebhookConfig } from "./projectConfig.ts";

export function declareWebhooks(
  scope: ProjectScope,
  webhooks: Readonly<Record<string, WebhookConfig>>,
): void {
  for (const [title, config] of Object.entries(webhooks)) {
    declareHook(scope, title, config);
  }
}

/** @param hook its address may be known only when what it leads to is made */
export function declareHook(
  { name, project, child }: ProjectScope,
  title: string,
  {
    url,
    token,
    events,
    branches,
  }: Omit<WebhookConfig, "url"> & { readonly url: pulumi.Input<string> },
): void {
  new ProjectHook(
    `${name}-webhook-${title}`,
    {
      project,
      name: title,
      // Addresses of chats let in whoever knows them.
      url: pulumi.secret(url),
      enableSslVerification: true,
      ...eventArgs(events),
      ...(token === undefined ? {} : { token }),
      ...(branches === undefined
        ? {}
        : {
            pushEventsBranchFilter: branches,
            branchFilterStrategy: "wildcard",
          }),
    },
    child,
  );
}

/** All events, those that were not named as well: GitLab has some of them on by itself. Pure. */
function eventArgs(
  events: WebhookConfig["events"],
): Partial<Pick<ProjectHookArgs, `${(typeof hookEvents)[number]}Events`>> {
  return Object.fromEntries(
    hookEvents.map((event) => [`${event}Events`, events.includes(event)]),
  );
}
