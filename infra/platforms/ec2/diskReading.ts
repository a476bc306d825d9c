import type { FileHandle } from "node:fs/promises";

/**
 * Bytes of a disk; fewer where it ends before.
 * @throws the operating system's error.
 */
export async function readAt(
  file: FileHandle,
  position: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}
