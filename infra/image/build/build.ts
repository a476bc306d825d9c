/** Builds one image: starts the build in its namespace, follows it, ends it. */

import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { BuildError, InterruptedError } from "../../errors.ts";
import { withPrivateDirectory } from "../../store/directories.ts";
import type { Turn } from "../capacity.ts";
import { isNative } from "../nativeArchitecture.ts";
import { systemPath } from "./preconditions.ts";
import type {
  BuildEvent,
  BuildRequest,
  BuildResult,
  Phase,
  StartedBuild,
} from "./request.ts";

/** A finished build: `disk.raw` lies in the request's output directory. */
export interface FinishedBuild extends BuildResult {
  /** Seconds spent in each phase, in the order in which they were first entered; one that came again counts as one. */
  readonly phaseSeconds: Readonly<Record<string, number>>;
}

/** How much longer a build may take whose programs are translated one instruction at a time (decision 13). */
const foreignBuildFactor = 3;

/** Told now and then: what a build is doing. `elapsedSeconds` counts from its start. */
export type ProgressListener = (progress: {
  readonly phase: Phase;
  readonly packages?: { readonly done: number; readonly all: number };
  readonly elapsedSeconds: number;
}) => void;

interface BuildControl {
  readonly signal?: AbortSignal;
  readonly turn?: Turn;
}

/**
 * New user, mount and pid namespaces, with all of the user's subordinate ids (unshare(1)). The pid namespace
 * makes ending its first process end everything.
 */
const namespaceArguments = [
  "--user",
  "--map-root-user",
  "--map-auto",
  "--mount",
  "--pid",
  "--fork",
  "--kill-child",
];

/**
 * A /proc of those namespaces, where one can be mounted: not in a container that hides parts of its own, as they do by default
 * (mount_namespaces(7), "Restrictions on mount namespaces"). There the container's serves as well.
 */
async function ownProc(): Promise<readonly string[]> {
  const { exitCode } = await execa(
    "unshare",
    [...namespaceArguments, "--mount-proc", "true"],
    { reject: false, env: { PATH: systemPath }, cwd: "/" },
  );
  return exitCode === 0 ? ["--mount-proc"] : [];
}

/**
 * Builds an image in namespaces of its own, without privileges. What a killed build left in the cache is removed
 * by the next one.
 *
 * @param logPath gets everything that the build says
 * @param control `signal` ends the build when it is aborted; `turn` is passed while it waits for what another one makes
 * @throws {InterruptedError} when it is ended from outside.
 * @throws {BuildError} naming the phase, what FAI or the assembly reported, and the log.
 */
export function buildImage(
  request: BuildRequest,
  logPath: string,
  listen: ProgressListener,
  control: BuildControl = {},
): Promise<FinishedBuild> {
  return withPrivateDirectory(request.cacheDirectory, "in-use-", (directory) =>
    runBuild(
      { ...request, privateDirectory: basename(directory) },
      logPath,
      listen,
      control,
    ),
  );
}

async function runBuild(
  request: StartedBuild,
  logPath: string,
  listen: ProgressListener,
  { signal, turn }: BuildControl,
): Promise<FinishedBuild> {
  const started = performance.now();
  const elapsedSeconds = () => (performance.now() - started) / 1000;
  const phaseSeconds = new Map<Phase, number>();
  let phase: Phase = "prepare";
  let enteredSeconds = 0;
  const enter = (next: Phase) => {
    const now = elapsedSeconds();
    const before = phaseSeconds.get(phase) ?? 0;
    phaseSeconds.set(phase, before + now - enteredSeconds);
    phase = next;
    enteredSeconds = now;
  };
  let result: BuildResult | undefined;
  let hasFailed = false;
  const onEvent = (event: BuildEvent) => {
    if (event.kind === "result") result = event.result;
    if (event.kind === "failure") hasFailed = true;
    if (event.kind === "waiting") turn?.pass();
    if (event.kind === "ready") void goOn();
    if (event.kind === "phase") enter(event.phase);
    if (event.kind === "phase" || event.kind === "packages") {
      const packages = event.kind === "packages" ? { packages: event } : {};
      listen({ phase, elapsedSeconds: elapsedSeconds(), ...packages });
    }
  };

  const { build, architecture } = request.definition;
  const timeoutSeconds =
    build.timeoutSeconds * (isNative(architecture) ? 1 : foreignBuildFactor);

  const child = execa(
    "unshare",
    [
      ...namespaceArguments,
      ...(await ownProc()),
      process.execPath,
      fileURLToPath(new URL("insideNamespace.ts", import.meta.url)),
      JSON.stringify(request),
    ],
    {
      // The build ends when its standard input does, which is when this process is gone. Descriptor 3 carries the
      // events.
      stdio: ["pipe", "pipe", "pipe", "pipe"],
      all: true,
      buffer: false,
      reject: false,
      // unshare waits out gentler signals; --kill-child passes this one on.
      killSignal: "SIGKILL",
      env: { PATH: systemPath },
      // The current directory may be one that the build hides from itself, such as one below /tmp.
      cwd: "/",
      timeout: timeoutSeconds * 1000,
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    },
  );
  const goOn = async () => {
    await turn?.regain();
    // It may have been ended meanwhile.
    child.stdin.on("error", () => {}).write("\n");
  };
  const logged = pipeline(child.all, createWriteStream(logPath));
  for await (const line of child.iterable({ from: "fd3" })) {
    onEvent(JSON.parse(line as string));
  }
  const ended = await child;
  await logged;
  if (ended.exitCode === 0 && result !== undefined) {
    enter(phase);
    const rounded = [...phaseSeconds].map(
      ([name, seconds]) => [name, Math.round(seconds * 10) / 10] as const,
    );
    return { ...result, phaseSeconds: Object.fromEntries(rounded) };
  }
  const { name } = request.definition;
  const where = `in phase "${phase}". The whole log is in ${logPath}.`;
  // A build that fails says so itself; one that is silent was ended, by somebody or for want of memory.
  if (!hasFailed && !ended.timedOut) {
    const how = ended.isCanceled
      ? "was interrupted"
      : `was killed (${await lastLine(logPath)})`;
    throw new InterruptedError(`The build of ${name} ${how} ${where}`);
  }
  const reason = ended.timedOut
    ? `took longer than ${timeoutSeconds} s (build.timeoutSeconds of its definition${isNative(architecture) ? "" : `, times ${foreignBuildFactor} for a foreign architecture`})`
    : `failed: ${await lastLine(logPath)}`;
  throw new BuildError(`The build of ${name} ${reason} ${where}`);
}

async function lastLine(path: string): Promise<string> {
  const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
  return lines.at(-1) ?? "it said nothing";
}
