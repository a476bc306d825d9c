/** The text that the engine keeps, as Pulumi's process for dynamic providers runs it. */

import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { moduleOf, providerText } from "../../infra/dynamic/provider.ts";
import { projectPath } from "../../infra/projectPaths.ts";

const implementation = `export const implementation = {
  async create(inputs, begin) {
    if (inputs.refused) throw new Error("refused");
    begin({ id: "the id", outputs: { key: inputs.key, seen: inputs.seen, problems: ["begun"] } });
    if (inputs.seen !== undefined) throw new Error("cut");
    return { id: "the id", outputs: { ...inputs, made: true } };
  },
  async read(id, outputs) {
    if (outputs.seen === "nobody knows") throw new Error("cut");
    if (outputs.seen === "nothing") return undefined;
    return outputs.gone ? undefined : { ...outputs, seen: id };
  },
  diff(outputs, inputs) { return { replaces: outputs.key === inputs.key ? [] : ["key"], updates: outputs.problems ?? [] }; },
  async update(id, outputs, inputs) { return { ...inputs, id, before: outputs.key }; },
  async delete(id, outputs) { if (outputs.held) throw new Error("held by " + id); },
};`;

const runner = `
const provider = require("./provider.cjs").handler();
const [name, ...values] = JSON.parse(process.argv[2]);
provider[name](...values).then(
  (result) => console.log(JSON.stringify(result ?? null)),
  ({ message, id, properties, reasons }) => console.log(JSON.stringify({ message, id, properties, reasons })),
);`;

test("a provider's text hands every call to the module that it names, in a directory of any name", async () => {
  const top = await mkdtemp(join(tmpdir(), "provider-"));
  const directory = join(top, "a checkout's #1");
  try {
    for (const name of ["dynamic", "image", "platforms"]) {
      await mkdir(join(directory, name), { recursive: true });
    }
    for (const name of ["engineWatch.ts", "moduleProvider.ts"]) {
      const own = join(directory, "dynamic", name);
      await symlink(projectPath(`infra/dynamic/${name}`), own);
    }
    await writeFile(
      join(directory, "platforms/placeFailures.ts"),
      "export async function notePlaceFailure(): Promise<void> {}",
    );
    await writeFile(join(directory, "image/thing.mjs"), implementation);
    await writeFile(
      join(directory, "provider.cjs"),
      providerText("image/thing.mjs"),
    );
    await writeFile(join(directory, "run.cjs"), runner);
    const call = async (...values: unknown[]): Promise<unknown> => {
      const { stdout } = await execa(
        process.execPath,
        ["--preserve-symlinks", "run.cjs", JSON.stringify(values)],
        { cwd: directory },
      );
      return JSON.parse(stdout);
    };
    expect(await call("create", { key: 1 })).toEqual({
      id: "the id",
      outs: { key: 1, made: true },
    });
    expect(await call("read", "x", { key: 1 })).toEqual({
      id: "x",
      props: { key: 1, seen: "x" },
    });
    expect(await call("read", "x", { gone: true })).toEqual({});
    expect(await call("diff", "x", { key: 1 }, { key: 2 })).toEqual({
      changes: true,
      replaces: ["key"],
      deleteBeforeReplace: true,
    });
    const same = { key: 1, problems: ["altered"] };
    expect(await call("diff", "x", same, { key: 1 })).toMatchObject({
      changes: true,
      replaces: [],
    });
    expect(await call("diff", "x", { key: 1 }, { key: 1 })).toMatchObject({
      changes: false,
    });
    expect(await call("update", "x", { key: 1 }, { key: 2 })).toEqual({
      outs: { key: 2, id: "x", before: 1 },
    });
    expect(await call("delete", "x", {})).toBeNull();
    expect(await call("delete", "x", { held: true })).toEqual({
      message: "held by x",
    });

    // What was begun stays in the state, unless it is known that nothing is there.
    const given = { key: 1, __provider: "text" };
    expect(await call("create", { ...given, refused: true })).toEqual({
      message: "refused",
    });
    expect(await call("create", { ...given, seen: "nothing" })).toEqual({
      message: "cut",
    });
    for (const seen of ["something", "nobody knows"]) {
      expect(await call("create", { ...given, seen })).toEqual({
        ...{ message: "cut", id: "the id", reasons: ["cut"] },
        properties: { ...given, seen, problems: ["begun"] },
      });
    }
  } finally {
    await rm(top, { recursive: true, force: true });
  }
});

test("a provider's text says its module", () => {
  expect(moduleOf(providerText("platforms/ec2/x.ts"))).toBe(
    "platforms/ec2/x.ts",
  );
  expect(moduleOf("exports.handler = () => ({});")).toBeUndefined();
  expect(moduleOf(undefined)).toBeUndefined();
});
