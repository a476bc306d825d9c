/**
 * Removes from clouds what a killed run had begun to create and did not live to note: `remove-orphans.ts <
 * EXPORTED-STATE`. Nothing that does not carry this project's tags is touched.
 */

import { text } from "node:stream/consumers";
import {
  askedForResources,
  removeOrphanResource,
} from "../../infra/platforms/azure/orphanResources.ts";
import {
  askedForAmis,
  removeOrphanAmi,
} from "../../infra/platforms/ec2/orphanAmis.ts";

const exported: unknown = JSON.parse(await text(process.stdin));
for (const ami of askedForAmis(exported)) {
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
for (const resource of askedForResources(exported)) {
  try {
    if (!(await removeOrphanResource(resource))) continue;
    console.error(
      `The last run was killed while it made ${resource.id}: removed it, and this run makes it again.`,
    );
  } catch (error) {
    console.error(
      `Whether a killed run left ${resource.id} could not be found out: ${(error as Error).message}`,
    );
  }
}
