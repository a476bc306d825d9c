/** Where apt finds packages, for the machine that builds and for the image. Pure. */

/** Base addresses, as they stand in a `URIs:` field. */
export interface Mirror {
  readonly debian: string;
  readonly security: string;
}

/** The suites an image draws from, as security support expects them: release, updates, security. */
export function suitesOf(codename: string): readonly string[] {
  return [codename, `${codename}-updates`, `${codename}-security`];
}

/**
 * The deb822 text that names a release's suites.
 *
 * @param extraFields further lines for every stanza, each ended by a newline
 */
export function sourcesText(
  codename: string,
  mirror: Mirror,
  extraFields = "",
): string {
  const stanza = (uri: string, suites: readonly string[]) =>
    `Types: deb\nURIs: ${uri}\nSuites: ${suites.join(" ")}\nComponents: main\n` +
    `Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n${extraFields}`;
  const [release, updates, security] = suitesOf(codename) as [
    string,
    string,
    string,
  ];
  return `${stanza(mirror.debian, [release, updates])}\n${stanza(mirror.security, [security])}`;
}
