/** Connections to servers that were not made, or broke: they may work when they are tried again. Pure. */

/** Node's codes. */
const connectionCodes = [
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
];

/** Whether an error is one of a connection, by the code that Node gives it. */
export function isConnectionFailure(error: unknown): boolean {
  return connectionCodes.includes((error as { code?: string })?.code ?? "");
}
