/**
 * From a fresh checkout to a published image and back, with the real engine, FAI and qemu. The tests are one
 * story: each begins where the one before it ended.
 */

import {
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256OfFile } from "../../infra/store/digest.ts";
import {
  editFile,
  filesBelow,
  fingerprint,
  lastingProcesses,
  makeProject,
  RunningScript,
  removeProject,
  runScript,
  untilExists,
} from "./checkout.ts";

const minutes = 60_000;
const name = "debian-13-genericcloud-amd64";

describe("a stack with one image", { timeout: 10 * minutes }, () => {
  let project = "";
  let published = "";
  let version = "";
  const inProject = (...path: string[]) => join(project, ...path);

  beforeAll(async () => {
    project = await makeProject();
  });

  afterAll(async () => {
    await removeProject(project);
  });

  /** Gives the image one more FAI class, which has one script. */
  async function addClass(className: string, script: string): Promise<void> {
    const directory = inProject("image-definitions/fai/scripts", className);
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, "10-it"), script, { mode: 0o755 });
    await editDefinitions("[TIME_SYSTEMD]", `[TIME_SYSTEMD, ${className}]`);
  }

  function editDefinitions(from: string, to: string): Promise<void> {
    return editFile(inProject("image-definitions/debian.yaml"), from, to);
  }

  /** A line of the table at a run's end, for the version that users have. */
  function rowWith(state: string): RegExp {
    return new RegExp(
      `^${name} +${version} +dev +yes +\\d+ h +${state} +directory$`,
      "m",
    );
  }

  /** Everything but the index, which also says what failed. */
  function publishedFiles(): Promise<string> {
    return fingerprint(inProject("public/trixie"));
  }

  it("is shown by a preview before anything is built", async () => {
    const { output, exitCode } = await runScript(project, "pulumi", [
      ...["stack", "init", "local"],
    ]);
    expect(output).toContain("Created stack 'local'");
    expect(exitCode).toBe(0);
    const preview = await runScript(project, "pulumi", ["preview"]);
    expect(preview.output).toMatch(
      new RegExp(`${name}-[0-9a-f]{12}-image.*create`),
    );
    expect(preview.output).toContain("8 to create");
    expect(await filesBelow(inProject("store"))).toEqual([]);
  });

  it("leaves nothing running when the engine is killed in the middle of a build, and lets nobody else in before", async () => {
    const up = new RunningScript(project, "up");
    await up.waitFor(/base system/);

    const second = await runScript(project, "up");
    expect(second.output).toMatch(/another|already/i);
    expect(second.exitCode).not.toBe(0);

    await up.killEngine();
    expect((await up.ended).exitCode).not.toBe(0);
    expect(await lastingProcesses(project, 5)).toEqual([]);
    const mounts = await readFile("/proc/self/mounts", "utf8");
    expect(mounts).not.toContain(project);
    expect(await filesBelow(inProject("public"))).toEqual([]);
  });

  it("leaves nothing running when the engine is killed in the middle of a boot check", async () => {
    const up = new RunningScript(project, "up");
    await up.waitFor(/kernel started/);
    await up.killEngine();
    await up.ended;
    expect(await lastingProcesses(project, 5)).toEqual([]);
    expect(await filesBelow(inProject("public"))).toEqual([]);
  });

  it("has not published anything halfway when the engine is killed in the middle of a publication", async () => {
    const up = new RunningScript(project, "up");
    await untilExists(inProject("public/trixie/dev"), up.ended);
    await up.killEngine();
    const { output } = await up.ended;
    expect(output).not.toMatch(/base system/);
    expect(output).toMatch(/uefi-secure-boot: switched off after/);
    expect(await lastingProcesses(project, 5)).toEqual([]);
    expect(await readdir(inProject("public"))).not.toContain("index.html");
    expect(await readdir(inProject("public/trixie/dev"))).not.toContain(
      "latest",
    );
  });

  it("is published when nothing interferes, without a build or a boot of what has passed", async () => {
    const { output, exitCode } = await runScript(project, "up");
    expect(output).not.toMatch(/base system|kernel started/);
    expect(exitCode, output).toBe(0);

    published = await readlink(inProject("public/trixie/dev/latest"));
    [version = ""] = (await readdir(inProject("public/trixie/dev"))).filter(
      (entry) => /^\d{8}-\d{4}$/.test(entry),
    );
    expect(output).toContain(`${name}, version ${version}`);
    expect(output).toMatch(/qemu-system-x86_64 .*\.qcow2/);
    expect(output).toContain("public/index.html");
    // What the killed runs had begun is gone.
    expect(await filesBelow(inProject("store/incoming"))).toEqual([]);
    expect(await filesBelow(inProject(".state/work"))).toEqual([]);
    expect(
      (await filesBelow(inProject("public"))).filter((path) =>
        path.includes("incoming"),
      ),
    ).toEqual([]);
  });

  it("has published files that agree with their checksums, their manifest and the index", async () => {
    for (const directory of [published, "latest"]) {
      await execa("sha512sum", ["--check", "--strict", "SHA512SUMS"], {
        cwd: inProject("public/trixie/dev", directory),
      });
    }
    const latest = inProject("public/trixie/dev/latest");
    const manifest = JSON.parse(
      await readFile(join(latest, `${name}.json`), "utf8"),
    );
    expect(manifest.items.map((item: { kind: string }) => item.kind)).toEqual([
      "Build",
      "Upload",
      "Upload",
    ]);
    const packages = manifest.items[0].data.packages.map(
      (each: { name: string }) => each.name,
    );
    expect(packages).toEqual(
      expect.arrayContaining(["cloud-init", "linux-image-cloud-amd64"]),
    );
    for (const firmware of ["bios", "uefi-secure-boot"]) {
      const junit = await readFile(
        join(latest, `${name}.boot-${firmware}.xml`),
        "utf8",
      );
      expect(junit).toMatch(/failures="0"/);
    }
    expect(await readFile(inProject("public/index.html"), "utf8")).toContain(
      name,
    );
  });

  it("has an image whose formats hold the same disk, and nothing of the build in it", async () => {
    const latest = inProject("public/trixie/dev/latest");
    const tar = join(latest, `${name}.tar.zst`);
    await execa("tar", ["--zstd", "-xf", tar, `--directory=${project}`]);
    const fromTar = await sha256OfFile(inProject("disk.raw"));
    const raw = inProject("qcow2.raw");
    const qcow2 = join(latest, `${name}.qcow2`);
    await execa("qemu-img", ["convert", "-O", "raw", qcow2, raw]);
    expect(await sha256OfFile(raw)).toEqual(fromTar);

    const device = `${raw}?offset=${262_144 * 512}`;
    const show = async (command: string) =>
      (await execa("debugfs", ["-R", command, device])).stdout;
    expect(await show("cat /etc/hostname")).toBe("localhost");
    expect(await show("cat /etc/machine-id")).toBe("");
    expect(await show("cat /etc/fstab")).toMatch(/^PARTUUID=\S+ \/ ext4 /m);
    expect(await show("cat /etc/apt/sources.list.d/debian.sources")).toMatch(
      /^Suites: trixie-security$/m,
    );
    for (const empty of [
      "/var/lib/apt/lists",
      "/tmp",
      "/var/tmp",
      "/var/log/apt",
    ]) {
      expect(
        (await show(`ls -p ${empty}`))
          .split("\n")
          .filter((line) => /\/(?!\.{1,2}\/)[^/]+\/\d*\/?$/.test(line)),
        empty,
      ).toEqual([]);
    }
    expect(await show("ls -p /etc/ssh")).not.toContain("ssh_host_");
  });

  it("does not change when it is brought up again", async () => {
    const { output, exitCode } = await runScript(project, "up");
    expect(output).toContain("8 unchanged");
    expect(output).toMatch(rowWith("unchanged"));
    expect(output).not.toMatch(/\bto (create|update|delete)\b|created|updated/);
    expect(exitCode).toBe(0);
  });

  it("shows published files that were altered or deleted, and mends them without a build", async () => {
    const latest = inProject("public/trixie/dev/latest");
    const before = await fingerprint(inProject("public"));
    const qcow2 = join(latest, await readlink(join(latest, `${name}.qcow2`)));
    await rm(qcow2);
    await execa("chmod", ["u+w", join(latest, `${name}.packages.txt`)]);
    await writeFile(join(latest, `${name}.packages.txt`), "nothing");
    await rm(inProject("public/index.html"));

    const preview = await runScript(project, "pulumi", [
      "preview",
      "--refresh",
      "--diff",
    ]);
    expect(preview.output).toMatch(/\.qcow2 is missing/);
    expect(preview.output).toMatch(/\.packages\.txt .*(altered|differs)/);
    expect(preview.output).toMatch(/index\.html/);
    expect(preview.output).toContain("1 to update");

    const up = await runScript(project, "up", ["--refresh"]);
    expect(up.output).not.toContain("base system");
    expect(up.exitCode, up.output).toBe(0);
    expect(await fingerprint(inProject("public"))).toBe(before);
    const clean = await runScript(project, "pulumi", [
      "preview",
      "--refresh",
      "--expect-no-changes",
    ]);
    expect(clean.exitCode, clean.output).toBe(0);
  });

  it("is not published when it does not boot, and says what the console said", async () => {
    const before = await publishedFiles();
    await addClass(
      "WRONG_ROOT",
      // The last root= counts.
      `#!/bin/sh\nset -e\necho 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX root=/dev/sdz1"' > "$target/etc/default/grub.d/99-wrong-root.cfg"\n`,
    );
    const { output, exitCode } = await runScript(project, "up");
    expect(output).toMatch(/failed its boot check by bios/);
    expect(output).toMatch(
      /\/dev\/sdz1 does not exist|Gave up waiting for root/,
    );
    const log = /Whole console: (\S+)/.exec(output)?.[1] ?? "";
    expect(await readFile(log, "utf8")).toContain("root=/dev/sdz1");
    expect(exitCode).not.toBe(0);
    expect(output).toMatch(rowWith("failed"));
    expect(output).toMatch(/^ {2}Log: \S+-boot-checks$/m);
    expect(await publishedFiles()).toBe(before);
  });

  it("names class, script and log when a script of the config space fails", async () => {
    const before = await publishedFiles();
    await editDefinitions("WRONG_ROOT]", "BROKEN]");
    await rm(inProject("image-definitions/fai/scripts/WRONG_ROOT"), {
      recursive: true,
    });
    await mkdir(inProject("image-definitions/fai/scripts/BROKEN"));
    await writeFile(
      inProject("image-definitions/fai/scripts/BROKEN/10-it"),
      "#!/bin/sh\necho this is why\nexit 3\n",
      { mode: 0o755 },
    );
    await writeFile(
      inProject("image-definitions/fai/package_config/BROKEN"),
      "PACKAGES install-norec\nno-such-package\n",
    );
    const { output, exitCode } = await runScript(project, "up");
    expect(output).toContain("BROKEN/10-it failed with exit code 3");
    expect(output).toContain(
      "the package no-such-package, in package_config/BROKEN, does not exist in the archive",
    );
    const log = /The whole log is in (\S+\.log)/.exec(output)?.[1] ?? "";
    expect(await readFile(log, "utf8")).toContain("this is why");
    expect(exitCode).not.toBe(0);
    expect(output).toMatch(rowWith("failed"));
    expect(output).toMatch(/^ {2}Log: \S+\.log$/m);
    expect(await publishedFiles()).toBe(before);
    // A run that failed deletes nothing, not even the image that did not boot; what failed to be built is not kept.
    expect(await readdir(inProject("store/builds"))).toHaveLength(2);
  });

  it("refuses definitions that are wrong before it touches anything", async () => {
    await editDefinitions("BROKEN]", "NO_FILES]");
    const { output, exitCode } = await runScript(project, "up");
    expect(output).toContain(
      "has the FAI class NO_FILES, for which image-definitions/fai has no file",
    );
    expect(output).not.toContain("UserError");
    expect(exitCode).not.toBe(0);
  });

  it("goes back to what is published when the definitions do, without a build", async () => {
    const before = await publishedFiles();
    await editDefinitions(", NO_FILES]", "]");
    await rm(inProject("image-definitions/fai/scripts/BROKEN"), {
      recursive: true,
    });
    await rm(inProject("image-definitions/fai/package_config/BROKEN"));
    const { output, exitCode } = await runScript(project, "up");
    expect(output).not.toContain("base system");
    expect(exitCode, output).toBe(0);
    expect(await publishedFiles()).toBe(before);
    expect(await readdir(inProject("store/builds"))).toHaveLength(1);
  });

  it("leaves nothing of its own when it is destroyed, and everything of others", async () => {
    await writeFile(inProject("public/notes.txt"), "of somebody else");
    const { output, exitCode } = await runScript(project, "pulumi", [
      "destroy",
      "--yes",
    ]);
    expect(exitCode, output).toBe(0);
    expect(await filesBelow(inProject("public"))).toEqual(["notes.txt"]);
    expect(await readdir(project)).not.toContain("store");
  });
});
