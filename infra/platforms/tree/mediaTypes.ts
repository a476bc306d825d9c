/** What published files are called by web servers. Types are IANA's, or else what the shared MIME database has. Pure. */

import { type Format, formats } from "../../store/records.ts";

export const formatMediaTypes: Readonly<Record<Format, string>> = {
  qcow2: "application/x-qemu-disk",
  "tar.zst": "application/zstd",
  "tar.xz": "application/x-xz",
  "tar.gz": "application/gzip",
  vmdk: "application/x-vmdk-disk",
  vhd: "application/x-vhd-disk",
  "root.tar.zst": "application/zstd",
  "oci.tar": "application/x-tar",
};

const textTypes: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  json: "application/json",
  log: "text/plain; charset=utf-8",
  txt: "text/plain; charset=utf-8",
  png: "image/png",
  xml: "application/xml",
};

/** The format of a published file, or `undefined` for what is no image. */
export function formatOf(path: string): Format | undefined {
  return formats
    .filter((format) => path.endsWith(`.${format}`))
    .sort((one, other) => other.length - one.length)[0];
}

/** The media type of a published file; of those without an ending, which are lists, plain text. */
export function mediaTypeOf(path: string): string {
  const format = formatOf(path);
  if (format !== undefined) return formatMediaTypes[format];
  const ending = path.slice(path.lastIndexOf(".") + 1);
  return textTypes[ending] ?? "text/plain; charset=utf-8";
}
