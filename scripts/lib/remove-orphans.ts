/**
 * Removes from clouds what a killed run had begun to create and did not live to note: `remove-orphans.ts <
 * EXPORTED-STATE`. Nothing that does not carry this project's tags is touched.
 */

import { text } from "node:stream/consumers";
import {
  askedForAmis,
  removeOrphanAmi,
} from "../../infra/platforms/ec2/orphanAmis.ts";

const asked = askedForAmis(JSON.parse(await text(process.stdin)));
for (const ami of asked) {
  try {
    const id = await removeOrphanAmi(ami);
    if (id === undefined) continue;
    console.error(
      `The last run was killed while it made the AMI ${ami.name}: deregistered ${id}, which this run makes again.`,
    );
  } catch (error) {
    // The run itself says what is wrong with that region, and what it does not hold up goes on.
    console.error(
      `Whether a killed run left the AMI ${ami.name} in ${ami.access.region} could not be found out: ${(error as Error).message}`,
    );
  }
}
