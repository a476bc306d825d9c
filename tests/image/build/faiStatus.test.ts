import { describe, expect, it } from "vitest";
import {
  type FaiLogs,
  faiFailures,
} from "../../../infra/image/build/faiStatus.ts";

const good: FaiLogs = {
  status: "partition.DEBIAN.sh  OK.\nDEBIAN/10-files      OK.\n",
  main: "Calling task_configure\n",
  scripts: "=====   shell: DEBIAN/10-files   =====\nDEBIAN/10-files      OK.\n",
  software: "Setting up a (1.0) ...\nW: something to know\n",
  taskError: "0\n",
};

const files = {
  "package_config/DEBIAN": "PACKAGES install\nnosuch # why\n",
  "package_config/AMD64": "PACKAGES install\n# nosuch\nother-one\n",
};

describe("a run of FAI", () => {
  it("went well when its logs say nothing else", () => {
    expect(faiFailures(good, files)).toEqual([]);
  });

  it.each<[string, Partial<FaiLogs>, string]>([
    [
      "a script failed",
      { status: "AMD64/10-grub        FAILED with exit code 1.\n" },
      "AMD64/10-grub failed with exit code 1",
    ],
    [
      "a script failed, and only its own log says so",
      { scripts: "LAST/10-cleanup      FAILED with exit code 127.\n" },
      "LAST/10-cleanup failed with exit code 127",
    ],
    [
      "there was not enough memory",
      {
        software:
          "dpkg: error: error creating new backup file '/var/lib/dpkg/status-old': No space left on device\n",
      },
      "no space was left: give its definition more build.memoryMiB, or the cache's disk more room",
    ],
    [
      "a hook was left out",
      {
        main: "WARNING: Skipping /mnt/config/hooks/instsoft.DEBIAN because it's not executable.\n",
      },
      "hooks/instsoft.DEBIAN is not executable: chmod +x it",
    ],
    [
      "a package does not exist",
      {
        software:
          "WARNING: These unknown packages are removed from the installation list: nosuch\n",
      },
      "the package nosuch, in package_config/DEBIAN, does not exist in the archive: correct its name, or remove it",
    ],
    [
      "apt does not know a package",
      { software: "E: Unable to locate package other\n" },
      "the package other does not exist in the archive: correct its name, or remove it",
    ],
    [
      "apt failed",
      { software: "E: Unable to fetch some archives\n" },
      "E: Unable to fetch some archives",
    ],
    [
      "a task failed",
      { taskError: "471\n" },
      "a task of FAI ended with error code 471",
    ],
  ])("did not when %s", (_what, logs, failure) => {
    expect(faiFailures({ ...good, ...logs }, files)).toEqual([failure]);
  });

  it("says what came first before what may follow from it", () => {
    const logs = {
      ...good,
      status: "DEBIAN/30-services FAILED with exit code 127.\n",
      software: "E: Unable to locate package other\n",
    };
    expect(faiFailures(logs, files)).toEqual([
      expect.stringContaining("package other"),
      expect.stringContaining("DEBIAN/30-services"),
    ]);
  });
});
