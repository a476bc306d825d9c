/** What stands behind {@link CopiedSnapshots}: nothing is made, and what was left is deleted. */

import { isDeepStrictEqual } from "node:util";
import { type AwsAccess, isAnotherPlace } from "../../aws/access.ts";
import { checkAccount } from "../../aws/account.ts";
import type { ImageKey } from "../../definitions/definition.ts";
import type { Implementation } from "../../dynamic/provider.ts";
import {
  deleteSnapshotsWithTags,
  ec2Caller,
  usualInUseSeconds,
} from "./snapshots.ts";
import { identityTags } from "./tags.ts";

/** Which AMI, where. */
export interface CopiedSnapshotsInputs {
  /** `organization/project/stack`. */
  readonly stack: string;
  readonly key: ImageKey;
  readonly amiName: string;
  readonly access: AwsAccess;
}

export const implementation: Implementation<
  CopiedSnapshotsInputs,
  CopiedSnapshotsInputs
> = {
  async create(inputs) {
    return { id: `${inputs.access.region}/${inputs.amiName}`, outputs: inputs };
  },

  async read(_id, outputs) {
    return outputs;
  },

  diff(outputs, inputs) {
    const changed = (["stack", "key", "amiName", "access"] as const).filter(
      (name) => !isDeepStrictEqual(outputs[name], inputs[name]),
    );
    const isElsewhere = isAnotherPlace(outputs.access, inputs.access);
    // What has the old tags is the copy's until it got others: it must not go before.
    return { replaces: isElsewhere ? ["access"] : [], updates: changed };
  },

  async update(_id, _outputs, inputs) {
    return inputs;
  },

  /** The AMI has gone before. Its record gave the snapshots our tags; without them, nothing is touched. */
  async delete(_id, outputs) {
    await checkAccount(outputs.access);
    const ec2 = ec2Caller(outputs.access);
    await deleteSnapshotsWithTags(
      ...([ec2, identityTags(outputs), usualInUseSeconds] as const),
    );
  },
};
