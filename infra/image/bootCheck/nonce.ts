/** What tells this run's report from any other. */

import { randomBytes } from "node:crypto";

/** 32 lower-case hex digits, drawn anew for every run. */
export type Nonce = string & { readonly __brand: "Nonce" };

/** Draws a nonce. */
export function newNonce(): Nonce {
  return randomBytes(16).toString("hex") as Nonce;
}
