/** How much effort goes into each compression, and by which program (docs/decisions/0010-formats.md). */

import { availableParallelism } from "node:os";
import { execa } from "execa";

/**
 * What is compressed with: `zst` for disks and file trees, `zst-layer` for what container tools unpack, which may
 * refuse a large window; `xz` and `gz` for those who need them.
 */
export type Compression = "zst" | "zst-layer" | "xz" | "gz";

/**
 * The program that packs standard input. The same input gives the same output, however many cores there are.
 *
 * - zstd: level 10, and repetitions are looked for in the last 128 MiB, the largest window that `zstd -d` and
 *   `tar --zstd` take without being told. More effort gains little and costs much.
 * - xz: its default level; `+` keeps the form that several threads write even on one core.
 * - gzip: its default level, and no date.
 */
export function compressor(
  compression: Compression,
): readonly [program: string, args: readonly string[]] {
  const threads = availableParallelism();
  const zstd = ["-q", "-10", `-T${threads}`, "--stdout"];
  switch (compression) {
    case "zst":
      return ["zstd", [...zstd, "--long=27"]];
    case "zst-layer":
      return ["zstd", zstd];
    case "xz":
      return ["xz", ["-6", `--threads=+${threads}`, "--stdout"]];
    case "gz":
      return ["gzip", ["-6", "--no-name", "--stdout"]];
  }
}

/**
 * Memory that a compression takes. Measured on two threads: zstd with its window 281 MiB; xz needs 166 MiB for each
 * thread (xz(1), -6, and its input and output buffers).
 */
export function compressionMemoryMiB(compression: Compression): number {
  const threads = availableParallelism();
  switch (compression) {
    case "zst":
    case "zst-layer":
      return 160 + 80 * threads;
    case "xz":
      return 64 + 170 * threads;
    case "gz":
      return 64;
  }
}

/**
 * Compresses what comes into a file.
 * @throws what the input throws, or what the program says.
 */
export async function compressTo(
  path: string,
  compression: Compression,
  input: AsyncIterable<Buffer>,
): Promise<void> {
  const [program, args] = compressor(compression);
  await execa(program, args, {
    stdin: input,
    stdout: { file: path },
    buffer: false,
  });
}
