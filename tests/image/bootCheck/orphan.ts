/** A program that checks a machine which hangs, until it is killed: `node orphan.ts <directory>`. */

import { checkBoot } from "../../../infra/image/bootCheck/checkBoot.ts";
import { diskOf, requestFor } from "./fixtures.ts";
import { sectorThat } from "./sectors.ts";

const [directory = ""] = process.argv.slice(2);
const disk = await diskOf(
  directory,
  sectorThat("hang", { port: "console", text: "x" }),
);
const onProgress = (message: string) => console.log(message);
await checkBoot(requestFor(directory, disk, { onProgress }));
