/** The root file system of a raw disk, as a tar; and what a tar of it must be read back to. */

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { execa } from "execa";
import { BuildError } from "../../errors.ts";
import { systemPath } from "../build/preconditions.ts";
import { Ext4 } from "./ext4.ts";
import type { TreeEntry } from "./fileTree.ts";
import { sha256OfOutput } from "./readBack.ts";
import { memberName, tarOf } from "./tarArchive.ts";

/** The number of the partition with the root file system, on all of Debian's cloud images. */
const rootPartition = 1;

/** What is compared of two trees, each a sha256 in hex. */
export interface TreeDigests {
  /** The archive, byte by byte. */
  readonly tar: string;
  /** The members in order, as GNU tar lists them: kind, permissions, owners, size, date, name, target. */
  readonly listing: string;
  /** The content of all files, in order. */
  readonly content: string;
}

/** The archive of the root file system, piece by piece: no directory above, nothing left out. */
export async function* rootTar(raw: string): AsyncGenerator<Buffer> {
  yield* tarOf(rootEntries(raw));
}

/** What an archive of the root file system of a raw disk must have. */
export async function digestsOfRoot(raw: string): Promise<TreeDigests> {
  const tar = createHash("sha256");
  const listing = createHash("sha256");
  const content = createHash("sha256");
  async function* noted(): AsyncGenerator<TreeEntry> {
    for await (const entry of rootEntries(raw)) {
      listing.update(`${listingLine(entry)}\n`, "latin1");
      if (entry.kind !== "file") yield entry;
      else yield { ...entry, read: () => hashed(entry.read()) };
    }
  }
  async function* hashed(chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      content.update(chunk);
      yield chunk;
    }
  }
  for await (const chunk of tarOf(noted())) tar.update(chunk);
  return {
    tar: tar.digest("hex"),
    listing: listing.digest("hex"),
    content: content.digest("hex"),
  };
}

/**
 * What a tar that zstd compressed has, as GNU tar and zstd read it.
 * @throws what they say when they cannot.
 */
export async function digestsOfArchive(path: string): Promise<TreeDigests> {
  const tar = ["--zstd", `--file=${path}`];
  const [bytes, { stdout }, content] = await Promise.all([
    sha256OfOutput("zstd", ["--decompress", "--quiet", "--stdout", path]),
    execa(
      "tar",
      [
        ...["--list", ...tar, "--verbose", "--numeric-owner"],
        ...["--full-time", "--utc", "--quoting-style=escape"],
        ...["--xattrs", "--xattrs-include=*"],
      ],
      { env: { LC_ALL: "C" }, maxBuffer: 1024 ** 3 },
    ),
    sha256OfOutput("tar", ["--extract", "--to-stdout", ...tar]),
  ]);
  const listing = createHash("sha256");
  for (const line of withoutPadding(stdout)) listing.update(`${line}\n`);
  return { tar: bytes, listing: listing.digest("hex"), content };
}

/** The lines of GNU tar's list. It pads its columns, that of dates by the longest so far; names may begin with spaces. */
function* withoutPadding(list: string): Generator<string> {
  let dateWidth = 0;
  for (const line of list.split("\n")) {
    const [columns = "", mode, owners, size, date = ""] =
      /^(\S+) +(\S+) +(\S+) (\S+ \S+)/.exec(line) ?? [];
    dateWidth = Math.max(dateWidth, date.length);
    const name = line.slice(columns.length + dateWidth - date.length + 1);
    yield `${mode} ${owners} ${size} ${date} ${name}`;
  }
}

/** In what two trees differ, to follow "it"; `undefined` when they do not. */
export function differenceOf(
  found: TreeDigests,
  wanted: TreeDigests,
): string | undefined {
  const sentences: Readonly<Record<keyof TreeDigests, string>> = {
    listing:
      "lists other files, owners, permissions or dates than the disk has",
    content: "has files with other content than on the disk",
    tar: "has other bytes than an archive of the disk",
  };
  const parts = Object.keys(sentences) as (keyof TreeDigests)[];
  const different = parts.find((part) => found[part] !== wanted[part]);
  return different && sentences[different];
}

/** Everything in the root file system of a raw disk, in order. */
export async function* rootEntries(raw: string): AsyncGenerator<TreeEntry> {
  const offset = await rootOffset(raw);
  await using disk = await open(raw, "r");
  yield* (await Ext4.open(disk, offset)).entries();
}

/** Where the root file system begins, in bytes. */
async function rootOffset(raw: string): Promise<number> {
  const { stdout } = await execa("sfdisk", ["--json", raw], {
    env: { PATH: systemPath },
  });
  const { partitiontable } = JSON.parse(stdout) as {
    partitiontable: {
      sectorsize: number;
      partitions: { node: string; start: number }[];
    };
  };
  const { partitions, sectorsize } = partitiontable;
  // sfdisk names partitions by the file and their number, with a `p` between where the file's name ends in a digit.
  const root = partitions.find(({ node }) =>
    [`${raw}${rootPartition}`, `${raw}p${rootPartition}`].includes(node),
  );
  if (root !== undefined) return root.start * sectorsize;
  throw new BuildError(`the disk has no partition ${rootPartition}`);
}

const kindLetters: Readonly<Record<TreeEntry["kind"], string>> = {
  file: "-",
  directory: "d",
  "symbolic link": "l",
  "hard link": "h",
  "character device": "c",
  "block device": "b",
  fifo: "p",
};

/** What `tar --list --verbose` says of a member, without padding. */
function listingLine(entry: TreeEntry): string {
  const { attributes, kind, mode, uid, gid } = entry;
  const hasAttributes = kind !== "hard link" && attributes.size > 0;
  const permissions = `${kindLetters[kind]}${permissionLetters(mode)}${hasAttributes ? "*" : ""}`;
  const size =
    kind === "file"
      ? `${entry.sizeBytes}`
      : "major" in entry
        ? `${entry.major},${entry.minor}`
        : "0";
  const name = escaped(memberName(entry));
  const target =
    kind === "symbolic link"
      ? ` -> ${escaped(entry.target)}`
      : kind === "hard link"
        ? ` link to ${escaped(entry.target)}`
        : "";
  return `${permissions} ${uid}/${gid} ${size} ${momentText(entry)} ${name}${target}`;
}

/** `rwxr-sr-t`, as ls(1) has them. */
function permissionLetters(mode: number): string {
  const special = [
    [0o4000, 0o100, "s"],
    [0o2000, 0o010, "s"],
    [0o1000, 0o001, "t"],
  ] as const;
  return special
    .map(([flag, execute, letter], index) => {
      const bits = mode >> (6 - 3 * index);
      const isExecutable = (mode & execute) !== 0;
      const plain = isExecutable ? "x" : "-";
      const marked = isExecutable ? letter : letter.toUpperCase();
      return `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${mode & flag ? marked : plain}`;
    })
    .join("");
}

function momentText({ modified }: TreeEntry): string {
  const { seconds, nanoseconds } = modified;
  const text = new Date(seconds * 1000).toISOString().slice(0, 19);
  const part = `.${String(nanoseconds).padStart(9, "0")}`.replace(/\.?0+$/, "");
  return `${text.replace("T", " ")}${part}`;
}

const escapes: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  "\\": "\\\\",
};

/** Names as GNU tar shows them in the locale C. */
function escaped(name: string): string {
  return name.replaceAll(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: just these are escaped
    /[\x00-\x1f\\\x7f-\xff]/g,
    (character) =>
      escapes[character] ??
      (character === "\x7f"
        ? "\\177"
        : `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`),
  );
}
