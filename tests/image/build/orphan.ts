/** A program that builds an image which never gets ready, until it is killed: `node orphan.ts <directory>`. */

import { buildImage } from "../../../infra/image/build/build.ts";
import { endlessRequest, logOf } from "./endlessBuild.ts";

const [directory = ""] = process.argv.slice(2);
await buildImage(endlessRequest(directory, 600), logOf(directory), () => {});
