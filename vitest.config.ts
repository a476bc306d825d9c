import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Begins with the tests of whole stacks: one that began last would run alone for minutes. */
class StacksFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]) {
    const sorted = await super.sort(files);
    const isStack = ({ moduleId }: TestSpecification) =>
      moduleId.includes("/tests/stack/");
    return [
      ...sorted.filter(isStack),
      ...sorted.filter((file) => !isStack(file)),
    ];
  }
}

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    // Image builds and boot checks run inside tests, and take the cores they can get.
    maxWorkers: 2,
    sequence: { sequencer: StacksFirst },
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
});
