/** Who has a role on an image, all of them: gcp.compute.ImageIamBinding. */

import type { ResourceKind } from "../resourceKind.ts";
import type { Shape } from "../shapes.ts";
import { isList, type Properties, type Value } from "../values.ts";
import type { GcpCloud } from "./cloud.ts";

interface Binding {
  readonly role: string;
  readonly members: readonly string[];
}

interface Policy {
  readonly bindings?: readonly Binding[];
}

const members =
  /^(allAuthenticatedUsers|(user|group|serviceAccount):\S+@\S+|domain:\S+|principal(Set)?:\/\/\S+)$/;

function pathOf({ project, image }: Properties): string {
  return `projects/${project}/global/images/${image}`;
}

/** The bindings of other roles, and those of this one. */
async function policyOf(cloud: GcpCloud, inputs: Properties) {
  const policy = await cloud.call<Policy>(
    "GET",
    `${pathOf(inputs)}/getIamPolicy`,
  );
  if (policy === undefined) return undefined;
  const { bindings = [] } = policy;
  const isOwn = ({ role }: Binding) => role === inputs.role;
  return {
    others: bindings.filter((each) => !isOwn(each)),
    own: bindings.filter(isOwn).flatMap(({ members }) => members),
  };
}

async function write(
  cloud: GcpCloud,
  inputs: Properties,
): Promise<{ readonly id: string; readonly outputs: Properties }> {
  const policy = await policyOf(cloud, inputs);
  if (policy === undefined) {
    throw new Error(`Error applying IAM policy: ${pathOf(inputs)} not found`);
  }
  const binding = { role: inputs.role, members: inputs.members };
  await cloud.call("POST", `${pathOf(inputs)}/setIamPolicy`, {
    policy: { bindings: [...policy.others, binding] },
  });
  return {
    id: `${pathOf(inputs)}/${inputs.role}`,
    outputs: { ...inputs, etag: "etag" },
  };
}

/** Order means nothing. */
function sameMembers(old: Value, wanted: Value): boolean {
  const sorted = (value: Value) =>
    JSON.stringify(isList(value) ? value.toSorted() : value);
  return sorted(old) === sorted(wanted);
}

export function imageIamBindingKind(shape: Shape): ResourceKind<GcpCloud> {
  return {
    shape,
    updatable: new Set(["members"]),
    computed: new Set(["project"]),
    outputs: ["etag"],
    same: { members: sameMembers },
    check({ members: given }) {
      const wrong = (isList(given as Value) ? (given as Value[]) : []).filter(
        (each) => typeof each === "string" && !members.test(each),
      );
      return wrong.map((each) => ({
        property: "members",
        reason: `invalid value for members: ${each}`,
      }));
    },
    create: write,
    async read(cloud, _id, known) {
      const policy = await policyOf(cloud, known);
      if (policy === undefined || policy.own.length === 0) return undefined;
      return { ...known, members: policy.own, etag: "etag" };
    },
    async update(cloud, _id, _olds, news) {
      return (await write(cloud, news)).outputs;
    },
    async delete(cloud, _id, outputs) {
      const policy = await policyOf(cloud, outputs);
      if (policy === undefined) return;
      await cloud.call("POST", `${pathOf(outputs)}/setIamPolicy`, {
        policy: { bindings: policy.others },
      });
    },
  };
}
