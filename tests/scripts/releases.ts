/** Official releases as their servers have them, on the loopback interface. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { onTestFinished } from "vitest";
import { makeDirectory, readPin, writeFiles } from "./checkout.ts";

/** A URL where nothing listens. */
export const unreachable = "http://127.0.0.1:1";

/** Serves files by their names until the test ends. */
export async function serve(
  files: Readonly<Record<string, Buffer | string>>,
): Promise<string> {
  const server = createServer((request, response) => {
    const body = files[(request.url ?? "").slice(1)];
    response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The engine's release: programs that say which release they are from. */
export async function packEngine(): Promise<Record<string, Buffer | string>> {
  const version = await readPin("engine.sh", "PULUMI_VERSION");
  const archive = `pulumi-v${version}-linux-${process.arch}.tar.gz`;
  const bytes = await pack("pulumi", {
    "pulumi/pulumi": "#!/bin/sh\necho the released engine\n",
    "pulumi/pulumi-language-nodejs": "#!/bin/sh\n",
  });
  return {
    [archive]: bytes,
    [`pulumi-${version}-checksums.txt`]: `${sha256(bytes)}  ${archive}\n`,
  };
}

/** Node's release: programs that say which release they are from. */
export async function packNode(): Promise<Record<string, Buffer | string>> {
  const version = await readPin("node.sh", "NODE_VERSION");
  const name = `node-v${version}-linux-${process.arch}`;
  const bytes = await pack(name, {
    [`${name}/bin/node`]: "#!/bin/sh\necho the released node\n",
    [`${name}/bin/npm`]: "#!/bin/sh\n",
  });
  return {
    [`v${version}/${name}.tar.xz`]: bytes,
    [`v${version}/SHASUMS256.txt`]: `${"0".repeat(64)}  other.tar.xz\n${sha256(bytes)}  ${name}.tar.xz\n`,
  };
}

async function pack(
  top: string,
  files: Readonly<Record<string, string>>,
): Promise<Buffer> {
  const directory = await makeDirectory();
  await writeFiles(directory, files);
  // tar takes any compression from the name's ending; only the scripts' own must be told apart.
  const archive = top === "pulumi" ? "archive.tar.gz" : "archive.tar.xz";
  await execa("tar", ["--create", "--auto-compress", "--file", archive, top], {
    cwd: directory,
  });
  return readFile(join(directory, archive));
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
