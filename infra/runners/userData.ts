/** What a cloud hands to a new machine. Pure. */

import { gzipSync } from "node:zlib";
import { stringify } from "yaml";
import { UserError } from "../errors.ts";

/** Where the script is on the machine, for whoever wants to run it again. */
const scriptPath = "/usr/local/sbin/cloud-images-runner";

/** For images with cloud-init: the script, and that it is run once. */
export function cloudConfig(script: string): string {
  const config = {
    write_files: [
      {
        path: scriptPath,
        permissions: "0755",
        content: startupScript(script),
      },
    ],
    runcmd: [[scriptPath]],
  };
  // Long lines of the script stay as they are.
  return `#cloud-config\n${stringify(config, { lineWidth: 0 })}`;
}

/**
 * For images that run a script at every boot, as Google's do. It runs until it succeeds: each time in a process of its own, as
 * bash would go on after errors in what `until` judges.
 */
export function startupScript(script: string): string {
  return `${script}
if [[ "\${1:-}" != once ]]; then
  until "$BASH" "$0" once; do sleep 60; done
  exit
fi
main
`;
}

/**
 * User data in base64, compressed only where it would be too large otherwise: another release of zlib might write other
 * bytes, and replace every machine.
 *
 * @param limitBytes what the cloud takes, before base64
 * @throws {UserError} when it is too large either way.
 */
export function encodedUserData(
  host: string,
  text: string,
  limitBytes: number,
): string {
  const plain = Buffer.from(text);
  if (plain.length <= limitBytes) return plain.toString("base64");
  const packed = gzipSync(plain, { level: 9 });
  if (packed.length <= limitBytes) return packed.toString("base64");
  throw new UserError(
    `cloud-images:runnerHosts.${host} makes user data of ${packed.length} bytes, and its cloud takes ${limitBytes}. Have fewer runners on it.`,
  );
}
