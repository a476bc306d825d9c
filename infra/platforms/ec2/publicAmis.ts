/** Public AMIs, of which a region takes few. Pure. */

import type { VersionCounts } from "../platform.ts";
import type { Ec2Target } from "./ec2Config.ts";

/** How many an account may have in a region before it asks for more (EC2 User Guide, "AMI quotas", Public AMIs). */
const usualPublicAmis = 5;

/** What to look at before a target has more public AMIs than accounts may have by default. */
export function publicAmisWarning(
  name: string,
  { region, share }: Pick<Ec2Target, "region" | "share">,
  { before, after }: VersionCounts,
): string | undefined {
  if (share !== "public" || after <= usualPublicAmis || after <= before) {
    return undefined;
  }
  return `cloud-images:ec2.targets.${name}: this stack is to have ${after} public AMIs in ${region}, and has ${before} by now. By default, an account may have ${usualPublicAmis} in a region: see how many this one may have under Service Quotas, Public AMIs, and ask for more, or keep fewer versions (cloud-images:retention.versions).`;
}
