/** The examples in docs/gitlab.md, as a reader would take them over. */

import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { parseConfig, parseGitlabConfig } from "../../infra/config.ts";
import { secretFields } from "../../infra/gitlabProgram.ts";
import { projectPath } from "../../infra/projectPaths.ts";
import { fieldsInClear } from "../../infra/stackFile.ts";

type Sections = Readonly<Record<string, unknown>>;

/** What Pulumi may hand over for `{ secure: ... }`: an address can be masked as well. */
const decrypted = "https://chat.example/hook";

/** What each block of YAML has of the project's own, whatever it is indented by. */
async function examples(): Promise<readonly Sections[]> {
  const text = await readFile(projectPath("docs/gitlab.md"), "utf8");
  return [...text.matchAll(/^ *```yaml\n(.*?)^ *```$/gms)].map((match) => {
    const value = parse(match[1] ?? "") as Sections;
    return (value.config as Sections | undefined) ?? value;
  });
}

function configOf(sections: Sections) {
  return Object.fromEntries(
    Object.entries(sections).map(([name, value]) => [
      name,
      JSON.stringify(value, (_name, each: unknown) =>
        JSON.stringify(each) === '{"secure":"..."}' ? decrypted : each,
      ),
    ]),
  );
}

test("each section that docs/gitlab.md shows is right, and has its secrets encrypted", async () => {
  const own = (await examples()).filter(
    (sections) => "cloud-images:gitlab" in sections,
  );
  expect(own).toHaveLength(3);
  for (const sections of own) {
    const config = parseGitlabConfig("mine", configOf(sections));
    expect(config).toBeDefined();
    expect(
      config &&
        fieldsInClear(
          sections["cloud-images:gitlab"],
          secretFields(config.gitlab),
        ),
    ).toEqual([]);
  }
});

test("so is the stack that it has jobs bring up, which they are told of", async () => {
  const all = await examples();
  const [images] = all.filter(
    (sections) => "cloud-images:definitions" in sections,
  );
  const { gitlab } = parseConfig("images", configOf(images ?? {}));
  expect(gitlab).toBeUndefined();
  const last = all.findLast((sections) => "cloud-images:gitlab" in sections);
  const config = parseGitlabConfig("mine", configOf(last ?? {}))?.gitlab;
  expect(config?.image.variables[0]).toMatchObject({
    ...{ key: "CLOUD_IMAGES_STACK", value: "images", protected: false },
  });
  // The command below the example counts them.
  expect(config?.image.variables[3]).toMatchObject({
    ...{ key: "PULUMI_CONFIG_PASSPHRASE", protected: true, masked: true },
  });
});
