/** Where apt finds packages, for the machine that builds and for the image. Pure. */

import type { Definition } from "../../definitions/definition.ts";

/** Base addresses, as they stand in a `URIs:` field. */
export interface Mirror {
  readonly debian: string;
  readonly security: string;
  /** The moment whose archive this is, for a mirror that keeps old ones: their Release files have expired. */
  readonly pinnedTo?: string | undefined;
}

/** Suites by the archive that has them. */
export type Suites = Definition["release"]["suites"];

/** All suites an image draws from, the release itself first. */
export function suitesOf({ debian, security }: Suites): readonly string[] {
  return [...debian, ...security];
}

/**
 * The deb822 text that names a release's suites.
 *
 * @param extraFields further lines for every stanza, each ended by a newline
 */
export function sourcesText(
  { debian, security }: Suites,
  mirror: Mirror,
  extraFields = "",
): string {
  const validity =
    mirror.pinnedTo === undefined ? "" : "Check-Valid-Until: no\n";
  const stanza = (uri: string, suites: readonly string[]) =>
    `Types: deb\nURIs: ${uri}\nSuites: ${suites.join(" ")}\nComponents: main\n` +
    `Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n${validity}${extraFields}`;
  return [
    stanza(mirror.debian, debian),
    ...(security.length > 0 ? [stanza(mirror.security, security)] : []),
  ].join("\n");
}
