/** The fence around a cloud's metadata, in a network of the test's own. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { projectPath } from "../../infra/projectPaths.ts";

/** What a request ends with: an answer's status, or curl's exit code when there is none. */
const tried = `
set -euo pipefail
ip link set lo up
ip address add 169.254.169.254/32 dev lo
ip address add 192.0.2.1/32 dev lo
# Again, as at every boot.
for time in 1 2; do /usr/sbin/nft --file "$1"; done
for address in 169.254.169.254 192.0.2.1; do
  for port in 80 53; do
    /usr/bin/python3 -m http.server --bind "$address" "$port" >/dev/null 2>&1 &
  done
done
request() {
  local who="$1" url="$2"
  shift 2
  printf '%s %s %s\\n' "$who" "$url" "$("$@" curl --silent --max-time 5 --retry 40 --retry-delay 1 --retry-all-errors \\
    --retry-max-time "$wait" --output /dev/null --write-out '%{http_code}' "$url" || true)"
}
wait=20
for url in http://169.254.169.254/ http://169.254.169.254:53/ http://192.0.2.1/; do request root "$url"; done
wait=1
for id in 1000 40000; do
  for url in http://169.254.169.254/ http://169.254.169.254:53/ http://192.0.2.1/; do
    request "$id" "$url" setpriv --reuid "$id" --regid "$id" --clear-groups
  done
done
`;

test("root reaches it, builds and their users do not", async () => {
  const directory = await mkdtemp(join(tmpdir(), "fence-"));
  try {
    const step = await readFile(
      projectPath("infra/runners/setup/fence_metadata.sh"),
      "utf8",
    );
    const rules = /fence\.nft <<'END'\n(.*?)^END$/ms.exec(step)?.[1] ?? "";
    const file = join(directory, "fence.nft");
    await writeFile(file, rules);
    const { stdout } = await execa(
      "unshare",
      [
        ...["--user", "--map-root-user", "--map-auto", "--net", "--pid"],
        ...["--fork", "--kill-child", "bash", "-c", tried, "fence", file],
      ],
      { cwd: directory },
    );
    const [metadata, names] = ["169.254.169.254", "169.254.169.254:53"];
    expect(stdout.split("\n")).toEqual([
      ...[`root http://${metadata}/ 200`, `root http://${names}/ 200`],
      "root http://192.0.2.1/ 200",
      ...["1000", "40000"].flatMap((id) => [
        ...[`${id} http://${metadata}/ 000`, `${id} http://${names}/ 200`],
        `${id} http://192.0.2.1/ 200`,
      ]),
    ]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}, 60_000);
