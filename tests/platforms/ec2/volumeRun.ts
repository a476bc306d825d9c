/** One call of the volume method in a process of its own, for tests that kill it or limit it. */

import { volumeMethod } from "../../../infra/platforms/ec2/volumeMethod.ts";

// Where a limit for files ends the process, a device would refuse a write.
process.on("SIGXFSZ", () => {});

const { step, request, settings } = JSON.parse(process.argv[2] ?? "");
const method = volumeMethod(settings);
if (step === "make") await method.make(request, console.log);
else await method.readBack(request, console.log);
