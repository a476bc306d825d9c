/**
 * A file system's files, one after the other, with all that a tar can keep of them. Names and link targets are
 * bytes in Linux; here they are strings with one character, U+0000 to U+00FF, for each (Node's `latin1`).
 */

/** What all kinds have. */
interface TreeMember {
  /** Relative to the root, without a slash at either end; the root itself is `""`. */
  readonly path: string;
  /** Permissions, setuid, setgid and sticky bit: the lower 12 bits of `st_mode`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modified: {
    /** Since 1970. */
    readonly seconds: number;
    readonly nanoseconds: number;
  };
  /** Full name (`security.capability`) to value, sorted by name. */
  readonly attributes: ReadonlyMap<string, Buffer>;
}

/** One name in a tree. */
export type TreeEntry = TreeMember &
  (
    | { readonly kind: "directory" | "fifo" }
    | {
        readonly kind: "file";
        readonly sizeBytes: number;
        /** Reads the content, in order; may be called once for each pass. */
        readonly read: () => AsyncIterable<Buffer>;
      }
    | { readonly kind: "symbolic link"; readonly target: string }
    /** Another name of a file that came before. */
    | { readonly kind: "hard link"; readonly target: string }
    | {
        readonly kind: "character device" | "block device";
        readonly major: number;
        readonly minor: number;
      }
  );
