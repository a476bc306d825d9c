import { expect, it } from "vitest";
import { parseArguments } from "../../benchmarks/arguments.ts";

const known = ["build", "boot"];

it("names are taken once each, in their order, with or without --json", () => {
  expect(parseArguments(["boot", "build", "boot"], known)).toEqual({
    kind: "run",
    names: ["boot", "build"],
    json: false,
  });
  expect(parseArguments(["build", "--json"], known)).toEqual({
    kind: "run",
    names: ["build"],
    json: true,
  });
});

it("help needs no name", () => {
  expect(parseArguments(["--help"], known)).toEqual({ kind: "help" });
  expect(parseArguments(["-h"], known)).toEqual({ kind: "help" });
});

it("an unknown name is an error that lists the names", () => {
  expect(() => parseArguments(["buidl"], known)).toThrow(
    "There is no benchmark buidl. The benchmarks are: build, boot.",
  );
});

it("no name is an error that lists the names", () => {
  expect(() => parseArguments(["--json"], known)).toThrow(
    "Name at least one benchmark. The benchmarks are: build, boot.",
  );
});

it("an unknown option is an error", () => {
  expect(() => parseArguments(["build", "--jsn"], known)).toThrow(
    /Unknown option '--jsn'.* See --help\.$/,
  );
});
