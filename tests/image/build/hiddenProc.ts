/**
 * Started in namespaces of its own by hiddenProc.test.ts, with an empty directory: has a root file system mounted, as a build
 * has, and prints what is to be seen of its /proc.
 */

import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  mountPrivateSystem,
  withMountsIn,
} from "../../../infra/image/build/privateMounts.ts";

const [, , devices = ""] = process.argv;
await mountPrivateSystem(devices);
// That made /tmp this program's alone.
const target = "/tmp/target";
const archives = join(target, "archives");
for (const name of ["archives", "etc", "usr/sbin"]) {
  await mkdir(join(target, name), { recursive: true });
}
const proc = join(target, "proc");
let during: readonly string[] = [];
await withMountsIn(target, archives, async () => {
  during = await readdir(join(proc, "self"));
});
const mounts = await readFile("/proc/self/mounts", "utf8");
console.log(
  JSON.stringify({
    hasSelf: during.includes("fd"),
    left: await readdir(proc),
    isMounted: mounts.includes(target),
  }),
);
