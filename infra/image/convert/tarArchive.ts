/**
 * Writes a file tree as a tar: the POSIX form (pax) wherever the plain one has no room, the same bytes for the same
 * tree. GNU tar cannot do it: it reads files from a file system only, where their owners need root's rights.
 */

import type { TreeEntry } from "./fileTree.ts";
import { endOfTar, header, paddingAfter } from "./tarHeader.ts";

const typeFlags: Readonly<Record<TreeEntry["kind"], string>> = {
  file: "0",
  "hard link": "1",
  "symbolic link": "2",
  "character device": "3",
  "block device": "4",
  directory: "5",
  fifo: "6",
};

/** What the fields of the plain form hold at most: texts in bytes, numbers in octal digits. */
const room = { name: 100, id: 0o7777777, size: 0o77777777777 };

/** The archive, piece by piece. */
export async function* tarOf(
  entries: AsyncIterable<TreeEntry>,
): AsyncGenerator<Buffer> {
  for await (const entry of entries) {
    yield headersOf(entry);
    if (entry.kind !== "file") continue;
    yield* entry.read();
    yield paddingAfter(entry.sizeBytes);
  }
  yield endOfTar;
}

/** The header of one member, with one for what it has no room for before it. */
function headersOf(entry: TreeEntry): Buffer {
  const { kind, mode, modified, uid, gid } = entry;
  const name = memberName(entry);
  const target = "target" in entry ? entry.target : "";
  const sizeBytes = kind === "file" ? entry.sizeBytes : 0;
  const records = [
    ...(name.length > room.name ? [record("path", name)] : []),
    ...(target.length > room.name ? [record("linkpath", target)] : []),
    ...(uid > room.id ? [record("uid", String(uid))] : []),
    ...(gid > room.id ? [record("gid", String(gid))] : []),
    ...(sizeBytes > room.size ? [record("size", String(sizeBytes))] : []),
    ...(isPlain(modified) ? [] : [record("mtime", momentText(modified))]),
    // A hard link is a name; the attributes are the file's, which has them already.
    ...(kind === "hard link"
      ? []
      : [...entry.attributes].map(([attribute, value]) =>
          record(`SCHILY.xattr.${attribute}`, value),
        )),
  ];
  const plain = header({
    name,
    mode,
    uid: uid > room.id ? 0 : uid,
    gid: gid > room.id ? 0 : gid,
    sizeBytes: sizeBytes > room.size ? 0 : sizeBytes,
    seconds: Math.max(0, modified.seconds),
    type: typeFlags[kind],
    target,
    ...("major" in entry ? { device: entry } : {}),
  });
  if (records.length === 0) return plain;
  const text = Buffer.concat(records);
  const extended = header({
    name: "PaxHeader",
    mode: 0o644,
    uid: 0,
    gid: 0,
    sizeBytes: text.length,
    seconds: 0,
    type: "x",
    target: "",
  });
  return Buffer.concat([extended, text, paddingAfter(text.length), plain]);
}

/** What a member is called in the archive: directories end in a slash, and the root is `./`. */
export function memberName({ kind, path }: TreeEntry): string {
  if (path === "") return "./";
  return kind === "directory" ? `${path}/` : path;
}

function isPlain({ seconds, nanoseconds }: TreeEntry["modified"]): boolean {
  return nanoseconds === 0 && seconds >= 0 && seconds <= room.size;
}

function momentText({ seconds, nanoseconds }: TreeEntry["modified"]): string {
  if (nanoseconds === 0) return String(seconds);
  // Before 1970 the nanoseconds still count forwards.
  const isBefore = seconds < 0;
  const whole = isBefore ? -(seconds + 1) : seconds;
  const part = isBefore ? 1_000_000_000 - nanoseconds : nanoseconds;
  return `${isBefore ? "-" : ""}${whole}.${String(part).padStart(9, "0")}`;
}

/** `<length of the whole> <key>=<value>\n`. */
function record(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([
    Buffer.from(` ${key}=`, "latin1"),
    typeof value === "string" ? Buffer.from(value, "latin1") : value,
    Buffer.from("\n"),
  ]);
  let length = rest.length;
  while (rest.length + String(length).length !== length) {
    length = rest.length + String(length).length;
  }
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
