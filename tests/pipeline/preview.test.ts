/** Previews by the real engine, of a stack with secrets, as jobs make them. */

import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  filesOfDefinition,
  readConfigSpace,
} from "../../infra/definitions/configSpace.ts";
import { builderVersion } from "../../infra/image/builderVersion.ts";
import {
  type PreviewDocument,
  parsePreviewDocument,
} from "../../infra/pipeline/previewDocument.ts";
import { writeBuild } from "../../infra/store/documents.ts";
import type { BuildRecord } from "../../infra/store/records.ts";
import { TestGitlab } from "../doubles/gitlab/testGitlab.ts";
import { EngineProject } from "../engineProject.ts";
import { noStateVariables, runCi, stateVariables } from "./ciCommand.ts";

const password = "correct-horse-battery-staple";
const pipeline = {
  CI_PIPELINE_ID: "4711",
  CI_COMMIT_SHA: "0123456789abcdef0123456789abcdef01234567",
  CLOUD_IMAGES_NOTE_TOKEN: "glpat-never-to-be-seen",
};

let gitlab: TestGitlab;
let project: EngineProject;
let builds: readonly BuildRecord[];

/** All that any preview printed or wrote. */
const seen: string[] = [];

beforeAll(async () => {
  gitlab = await TestGitlab.create();
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
  await project.configure({
    directory: { path: "public", formats: ["qcow2"] },
    gitlab: {
      url: "https://gitlab.example",
      group: 42,
      image: {
        path: "images",
        variables: [{ key: "PASSWORD", value: "x".repeat(8), masked: true }],
      },
    },
  });
  await pulumi(
    ...["config", "set", "--secret", "--path"],
    ...["cloud-images:gitlab.image.variables[0].value", password],
  );
  const sizeBytes = 3 * 2 ** 20;
  builds = await project.prepareBuilds("20261121-1", { sizeBytes, pieces: [] });
  const configSpace = await readConfigSpace(
    project.path("image-definitions/fai"),
  );
  for (const build of builds) {
    const sources = {
      builder: await builderVersion(),
      configSpace: filesOfDefinition(configSpace, build.definition),
    };
    await writeBuild(project.store, { ...build, sources });
  }
  await pulumi("up", "--yes");
});

afterAll(async () => {
  await project?.remove();
  await gitlab?.[Symbol.asyncDispose]();
});

async function pulumi(...args: string[]): Promise<void> {
  const { exitCode, output } = await project.run(args, gitlab.env);
  expect(exitCode, output).toBe(0);
}

interface Previewed {
  readonly exitCode: number;
  readonly document: PreviewDocument;
  readonly note: string;
  readonly output: string;
}

async function preview(
  env: Readonly<Record<string, string>> = {
    ...stateVariables(project),
    ...gitlab.env,
  },
  ...args: string[]
): Promise<Previewed> {
  const into = await mkdtemp(project.path("preview-"));
  const { exitCode, output } = await runCi(
    project,
    ["preview", "--stack", "mine", "--into", into, ...args],
    { ...env, ...pipeline },
  );
  seen.push(output);
  const texts = await Promise.all(
    ["preview.json", "note.md"].map((name) =>
      readFile(join(into, name), "utf8").catch(() => ""),
    ),
  );
  seen.push(...texts);
  const [json = "", note = ""] = texts;
  expect(json, output).not.toBe("");
  const document = parsePreviewDocument(json, "preview.json");
  return { exitCode, document, note, output };
}

const stateFile = () =>
  project.path("backend/.pulumi/stacks/cloud-images/mine.json");

test("a stack that is as it should be is previewed, and nothing is touched", {
  timeout: 300_000,
}, async () => {
  const before = await readFile(stateFile());
  const { exitCode, document, note, output } = await preview();
  expect(exitCode, output).toBe(0);
  expect(document).toMatchObject({
    ...{ stack: "mine", state: "target", isComplete: true },
    versions: [{ definition: "debian-13-tiny-amd64", change: "stays" }],
    ...{ publications: [], others: [], machines: [], problems: [] },
  });
  expect(note).toContain("pipeline=4711 commit=0123456789abcdef");
  expect(note).toContain("### Preview of `mine`: nothing changes");
  expect(await readFile(stateFile())).toEqual(before);
});

test("a changed package list shows the image, its keys and the reason", {
  timeout: 300_000,
}, async () => {
  const [built] = builds;
  await project.write(
    "image-definitions/fai/package_config/TINY",
    "PACKAGES install\nvim\n",
  );
  const directory = project.path("artifacts/build amd64");
  await mkdir(directory, { recursive: true });
  const child: BuildRecord = {
    ...(built as BuildRecord),
    key: "f".repeat(64) as BuildRecord["key"],
    packages: [{ name: "vim", version: "2:9.1", architecture: "amd64" }],
  };
  await writeFile(join(directory, "build.json"), JSON.stringify(child));
  await mkdir(join(directory, "broken"));
  await writeFile(join(directory, "broken/build.json"), "{");

  const { exitCode, document, note, output } = await preview(
    undefined,
    ...["--builds", project.path("artifacts")],
  );
  expect(exitCode, output).toBe(0);
  const old = built?.key.slice(0, 12) ?? "";
  const key = document.versions.find(({ change }) => change === "appears")?.key;
  expect(key).toMatch(/^[0-9a-f]{12}$/);
  expect(key).not.toBe(old);
  expect(document.publications).toEqual([
    {
      ...{ definition: "debian-13-tiny-amd64", key, platform: "directory" },
      ...{ regions: [], change: "appears" },
    },
  ]);
  expect(document.explanations).toMatchObject([
    {
      ...{ key, before: { key: old, version: "20261121-1" } },
      reasons: ["image-definitions/fai/package_config/TINY has changed."],
    },
  ]);
  expect(note).toContain("1 image appears");
  expect(note).toContain("**+1 copy of images** (in `directory`)");
  expect(note).toContain("**+3 GiB of disks there**");
  expect(note).toContain(
    `| \`debian-13-tiny-amd64\` | \`${old}\` | \`${key}\` | \`image-definitions/fai/package_config/TINY\` has changed. |`,
  );
  expect(note).toContain("| `vim` |  | `2:9.1` |");
});

test("without the state's variables the same images are previewed against nothing, and the note says so", {
  timeout: 300_000,
}, async () => {
  const files = async () => (await readdir(project.directory)).sort();
  const file = project.path("Pulumi.mine.yaml");
  const before = [await files(), await readFile(file, "utf8")];
  const { exitCode, document, note, output } = await preview(
    noStateVariables(project),
  );
  expect(exitCode, output).toBe(0);
  expect(document).toMatchObject({
    ...{ state: "empty", leftOut: ["gitlab"], isComplete: true },
    versions: [{ definition: "debian-13-tiny-amd64", change: "appears" }],
    publications: [{ platform: "directory", change: "appears" }],
    ...{ others: [], explanations: [] },
  });
  expect(note).toContain("**Against an empty state**");
  expect(note).toContain("Left out, as they need credentials: `gitlab`.");
  expect(note).not.toContain(tmpdir());
  const after = (await files()).filter((name) => !name.startsWith("preview-"));
  const [filesBefore, ...others] = before;
  expect([
    (filesBefore as string[]).filter((name) => !name.startsWith("preview-")),
    ...others,
  ]).toEqual([after, await readFile(file, "utf8")]);
});

test("a wrong passphrase is an error, and no reason to preview something else", {
  timeout: 300_000,
}, async () => {
  const { exitCode, document, note } = await preview({
    ...stateVariables(project),
    ...gitlab.env,
    PULUMI_CONFIG_PASSPHRASE: "not-the-passphrase",
  });
  expect(exitCode).toBe(1);
  expect(document).toMatchObject({ state: "target", isComplete: false });
  expect(note).toContain("it cannot be brought up as it is");
  expect(note).toContain("incorrect passphrase");
});

test("definitions that are wrong fail the job, and the note says what and where", {
  timeout: 300_000,
}, async () => {
  await project.write(
    "image-definitions/more.yaml",
    'variants: { "/close\\n@everyone": 3 }\n',
  );
  const { exitCode, document, note, output } = await preview();
  expect(exitCode).toBe(1);
  expect(document.isComplete).toBe(false);
  expect(document.problems[0]).toMatchObject({
    severity: "error",
    text: expect.stringContaining("image-definitions/more.yaml:1"),
  });
  expect(output).toContain("image-definitions/more.yaml:1");
  expect(note).toContain("**Put this right first:**");
  expect(note).toContain("more.yaml:1");
  expect(note).not.toMatch(/^\s*\/close/m);
  expect(note).not.toContain("@everyone");

  const forked = await preview(noStateVariables(project));
  expect(forked.exitCode).toBe(1);
  expect(forked.document.problems[0]?.text).toContain("more.yaml:1");
});

test("a stack's file that is broken, missing or without definitions makes a note that says so", {
  timeout: 300_000,
}, async () => {
  const name = "Pulumi.mine.yaml";
  const whole = await readFile(project.path(name), "utf8");
  const secret = `password: ${pipeline.CLOUD_IMAGES_NOTE_TOKEN}`;
  await project.write(name, `config: [\n  /close @everyone ${secret}\n`);
  const broken = await preview();
  expect(broken.exitCode).toBe(1);
  expect(broken.document).toMatchObject({
    ...{ stack: "mine", isComplete: false, versions: [], packages: [] },
    problems: [
      {
        severity: "error",
        text: expect.stringMatching(/^Pulumi\.mine\.yaml is no YAML: /),
      },
    ],
  });
  expect(broken.output).toContain("Pulumi.mine.yaml is no YAML");
  expect(broken.note).toContain(`commit=${pipeline.CI_COMMIT_SHA}`);
  expect(broken.note).toContain("it cannot be brought up as it is");
  expect(broken.note).toContain("**Put this right first:**");
  expect(broken.note).toContain("Pulumi.mine.yaml is no YAML");
  expect(broken.note).not.toContain("@everyone");
  expect(broken.note).not.toContain("nothing changes");

  await rm(project.path(name));
  const missing = await preview();
  expect(missing.exitCode).toBe(1);
  expect(missing.note).toContain("There is no Pulumi.mine.yaml.");

  await project.write(name, "config: {}\n");
  const empty = await preview(noStateVariables(project));
  await project.write(name, whole);
  expect(empty.exitCode).toBe(1);
  expect(empty.note).toContain(
    "The stack mine has no cloud-images:definitions, and its state cannot be reached",
  );
});

test("a name that no stack can have is refused, and nothing is written", async () => {
  const into = project.path("preview-of-none");
  const { exitCode, output } = await runCi(
    project,
    ["preview", "--stack", "../mine", "--into", into],
    stateVariables(project),
  );
  expect(exitCode).toBe(1);
  expect(output).toContain('"../mine" cannot be the name of a stack.');
  await expect(readdir(into)).rejects.toThrow("ENOENT");
});

test("no secret is in anything that was printed or written", () => {
  expect(seen.length).toBeGreaterThan(15);
  const all = seen.join("\n");
  for (const secret of [
    password,
    pipeline.CLOUD_IMAGES_NOTE_TOKEN,
    gitlab.token,
    "not-the-passphrase",
  ]) {
    expect(all).not.toContain(secret);
  }
  // Nor in its encrypted form.
  expect(all).not.toMatch(/v1:[A-Za-z0-9+/=]{8}/);
});
