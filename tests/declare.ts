/**
 * Declares a stack to an engine that only takes notes: `node declare.ts <request>`. A program of its own,
 * because what vitest makes of `import()` is more than Pulumi can serialise.
 */

import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import type {
  Declaration,
  Declared,
  DeclareRequest,
} from "./declaredProject.ts";

/** What the program tells the engine of a resource; Pulumi has no types for it. */
interface Registration {
  getType(): string;
  getName(): string;
  getParent(): string;
  getDependenciesList(): string[];
  getObject(): { toJavaScript(): Record<string, unknown> } | undefined;
}

/** What the engine answers. */
interface Answer {
  setResult(result: 0 | 1): void;
}

/** Pulumi's own mock, which also notes what its mocks are not shown, and whose resources may fail. */
class NotingMonitor extends MockMonitor {
  readonly declared: Declared[] = [];

  override registerResource(
    request: Registration,
    callback: (error: unknown, answer: Answer | undefined) => void,
  ): Promise<void> {
    const name = request.getName();
    const { __provider: provider, ...inputs } =
      request.getObject()?.toJavaScript() ?? {};
    this.declared.push({
      type: request.getType(),
      name,
      parent: nameOf(request.getParent()),
      dependencies: request.getDependenciesList().map(nameOf),
      inputs,
      provider: String(provider ?? ""),
    });
    return super.registerResource(
      request,
      (error: unknown, answer: Answer | undefined) => {
        if (failing.some((end) => name.endsWith(end))) answer?.setResult(1);
        callback(error, answer);
      },
    );
  }
}

/** `urn:pulumi:stack::project::types::name`. */
function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}

const {
  project,
  stack,
  preview,
  config,
  failing,
  outputs: made,
} = JSON.parse(process.argv[2] ?? "") as DeclareRequest;

const outputs = {
  version: "20261121-0312",
  rawSha256: "1".repeat(64),
  sha256: "2".repeat(64),
  acceleration: "tcg",
  files: ["tar.zst", "qcow2", "json"].map(
    (suffix) => `trixie/20261121-0312/image-20261121-0312.${suffix}`,
  ),
};
const mocks: pulumi.runtime.Mocks = {
  call: () => ({}),
  newResource: ({ name, inputs }) => ({
    id: preview ? undefined : name,
    state: preview ? inputs : { ...inputs, ...outputs, ...made },
  }),
};
const settings = ["cloud-images", stack, preview, "team"] as const;
const monitor = new NotingMonitor(mocks);
pulumi.runtime.setAllConfig(config);
await pulumi.runtime.setMocks(mocks, ...settings);
pulumi.runtime.setMockOptions(monitor, ...settings);
// The engine, not the program, says what became of a resource that failed.
if (failing.length > 0) process.on("unhandledRejection", () => {});

const warnings: string[] = [];
Object.assign(pulumi.log, {
  warn: async (text: string) => {
    warnings.push(text);
  },
});
const told = { declared: monitor.declared, warnings };

const answer: Declaration = await declare().then(
  (summary) => ({ summary, ...told }),
  (error: Error) => ({ error: `${error.name}: ${error.message}`, ...told }),
);
process.stdout.write(JSON.stringify(answer));

async function declare(): Promise<string | undefined> {
  const { parseConfig } = (await import(
    join(project, "infra/config.ts")
  )) as typeof import("../infra/config.ts");
  const { declareImages } = (await import(
    join(project, "infra/program.ts")
  )) as typeof import("../infra/program.ts");
  const { summary } = await declareImages(parseConfig(stack, config));
  const text = new Promise<string>((resolve) => {
    summary.apply(resolve);
  });
  await pulumi.runtime.disconnect();
  return preview ? undefined : text;
}
