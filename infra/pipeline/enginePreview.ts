/** Previews by the engine: of a stack as it is, or, where its state is out of reach, of the same images against nothing. */

import {
  access,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { execa } from "execa";
import { projectDirectory, projectPath } from "../projectPaths.ts";
import type { StackFile } from "../stackFile.ts";
import { openConfig, securePaths } from "./openConfig.ts";

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How a preview ended. */
export interface EnginePreview {
  readonly exitCode: number;
  /** JSON, where it came to that. */
  readonly printed: string;
  /** What was said beside it. */
  readonly said: string;
}

/** Of Pulumi.yaml. */
const projectName = "cloud-images";

/** Where scripts/lib/stack.sh keeps what it makes. */
const ownState = ".state";

/**
 * What the engine needs to open a stack's state, from what is there; `undefined` where something is missing. It says nothing of
 * whether that is right: a wrong passphrase is an error, and no reason to preview something else.
 */
export async function stateEnvironment(
  { stack, hasPassphrase }: StackFile,
  env: Environment,
): Promise<Environment | undefined> {
  const backend = env.PULUMI_BACKEND_URL;
  if (backend === undefined || backend === "") return undefined;
  const directory = directoryOf(backend);
  if (directory !== undefined) {
    const file = join(
      directory,
      ".pulumi/stacks",
      projectName,
      `${stack}.json`,
    );
    if (!(await exists(file))) return undefined;
  }
  const isGiven =
    env.PULUMI_CONFIG_PASSPHRASE !== undefined ||
    (env.PULUMI_CONFIG_PASSPHRASE_FILE ?? "") !== "";
  if (!hasPassphrase || isGiven) return env;
  // As scripts/lib/stack.sh chooses it.
  if (directory !== projectPath(`${ownState}/backend`)) return undefined;
  if (stack === "local") return { ...env, PULUMI_CONFIG_PASSPHRASE: "" };
  const file = projectPath(`${ownState}/passphrase`);
  return (await exists(file))
    ? { ...env, PULUMI_CONFIG_PASSPHRASE_FILE: file }
    : undefined;
}

/** Of a backend in a directory; a path that only Pulumi understands is not looked at. */
function directoryOf(backend: string): string | undefined {
  try {
    return backend.startsWith("file:///")
      ? fileURLToPath(new URL(backend))
      : undefined;
  } catch {
    return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Previews a stack against its own state, which stays as it is. */
export function previewStack(
  { stack }: Pick<StackFile, "stack">,
  env: Environment,
  options: readonly string[] = [],
): Promise<EnginePreview> {
  return runPreview(stack, projectDirectory, env, options);
}

/** Values that the stack's file has encrypted, so that they can be kept out of what is shown. */
export async function secretsOf(
  { stack, config }: StackFile,
  env: Environment,
): Promise<readonly string[]> {
  const paths = securePaths(config);
  if (paths.length === 0) return [];
  const { exitCode, stdout } = await engine(
    ["config", "--show-secrets", "--json", "--stack", stack],
    projectDirectory,
    env,
  );
  // The preview itself says what is wrong.
  if (exitCode !== 0) return [];
  const known = JSON.parse(stdout) as Record<
    string,
    { readonly value?: string; readonly objectValue?: unknown }
  >;
  return paths.flatMap(([section = "", ...rest]) => {
    const entry = known[`${projectName}:${section}`];
    let value: unknown = rest.length === 0 ? entry?.value : entry?.objectValue;
    for (const key of rest) {
      value = (value as Record<string, unknown> | undefined)?.[key];
    }
    return typeof value === "string" ? [value] : [];
  });
}

/**
 * Previews the images of a stack against an empty state, without anything of the stack's that needs credentials: a backend, a
 * store and a directory for this one preview. Nothing of the checkout is touched.
 */
export async function previewEmptyStack(
  file: StackFile,
  env: Environment,
): Promise<EnginePreview & { readonly leftOut: readonly string[] }> {
  const { kept, leftOut } = openConfig(file);
  const directory = await mkdtemp(join(tmpdir(), "cloud-images-preview-"));
  try {
    for (const name of ["infra", "node_modules", "package.json"]) {
      await symlink(projectPath(name), join(directory, name));
    }
    await writeFile(
      join(directory, "Pulumi.yaml"),
      await readFile(projectPath("Pulumi.yaml")),
    );
    const formats = (file.config.directory as { formats?: unknown } | undefined)
      ?.formats;
    const config = {
      ...kept,
      store: { directory: join(directory, "store") },
      directory: {
        path: join(directory, "public"),
        ...(formats === undefined ? {} : { formats }),
      },
    };
    await writeFile(
      join(directory, `Pulumi.${file.stack}.yaml`),
      // YAML has JSON in it.
      JSON.stringify({
        config: Object.fromEntries(
          Object.entries(config).map(([name, value]) => [
            `${projectName}:${name}`,
            value,
          ]),
        ),
      }),
    );
    const backend = join(directory, "backend");
    await mkdir(backend);
    const own = {
      ...env,
      PULUMI_BACKEND_URL: pathToFileURL(backend).href,
      PULUMI_CONFIG_PASSPHRASE: "",
      PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
    };
    const made = await engine(
      ["stack", "init", file.stack, "--no-select"],
      directory,
      own,
    );
    const preview =
      made.exitCode === 0
        ? await runPreview(file.stack, directory, own, [])
        : { exitCode: made.exitCode, printed: "", said: made.stderr };
    return {
      exitCode: preview.exitCode,
      // Where it was made is no part of what it says.
      printed: preview.printed.replaceAll(directory, ""),
      said: preview.said.replaceAll(directory, ""),
      leftOut,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function runPreview(
  stack: string,
  directory: string,
  env: Environment,
  options: readonly string[],
): Promise<EnginePreview> {
  const { exitCode, stdout, stderr } = await engine(
    [
      ...["preview", "--json", "--stack", stack, "--suppress-outputs"],
      ...options,
    ],
    directory,
    env,
  );
  return { exitCode, printed: stdout, said: stderr };
}

async function engine(
  args: readonly string[],
  cwd: string,
  env: Environment,
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const result = await execa(
    "pulumi",
    [...args, "--non-interactive", "--color", "never"],
    {
      cwd,
      reject: false,
      extendEnv: false,
      // An option for other commands, which preview refuses to know.
      env: { ...env, PULUMI_OPTION_SKIP_PREVIEW: undefined },
      maxBuffer: longestOutputCharacters,
    },
  );
  const { exitCode = -1, stdout, stderr } = result;
  // One that could not be started, or was ended, says so elsewhere.
  const said = result.shortMessage ?? "";
  return {
    exitCode,
    stdout,
    stderr: result.exitCode === undefined ? `${said}\n${stderr}` : stderr,
  };
}

/** Each resource takes about ten kilobytes: room for a hundred thousand. */
const longestOutputCharacters = 1024 * 1024 * 1024 - 1;
