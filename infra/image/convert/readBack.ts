/** Reading a converted file with another program than wrote it. */

import { createHash } from "node:crypto";
import { execa } from "execa";

/**
 * sha256, in hex, of what a program prints, hashed while it comes.
 * @throws what the program says when it fails.
 */
export async function sha256OfOutput(
  program: string,
  args: readonly string[],
): Promise<string> {
  const hash = createHash("sha256");
  const child = execa(program, args, { stdin: "ignore", buffer: false });
  const hashing = async () => {
    for await (const chunk of child.stdout) hash.update(chunk as Buffer);
  };
  await Promise.all([child, hashing()]);
  return hash.digest("hex");
}
