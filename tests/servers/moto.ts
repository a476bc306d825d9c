/** moto: a server that answers as EC2, EBS direct, S3, SSM and IAM do, as far as it goes. */

import { join } from "node:path";
import { projectPath } from "../../infra/projectPaths.ts";
import { type LocalServer, startServer } from "./localServer.ts";

/** The account that moto is for all who take on no role. */
export const motoAccount = "123456789012";

/**
 * Starts moto with nothing in it. It takes any credentials, and keeps what it is given in memory and below a directory.
 *
 * @param directory of the test's, which it removes
 */
export function startMoto(directory: string): Promise<LocalServer> {
  return startServer({
    command: join(projectPath(".tools/python/bin"), "moto_server"),
    args: ["-H", "127.0.0.1", "-p", "0"],
    env: { MOTO_EC2_LOAD_DEFAULT_AMIS: "false", TMPDIR: directory },
    ready: /Running on http:\/\/127\.0\.0\.1:(\d+)/,
  });
}
