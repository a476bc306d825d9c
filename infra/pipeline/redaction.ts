/** Takes what nobody may read out of texts of programs, before others get them. Pure. */

/** Names of variables whose values are secrets. */
const secretName =
  /(^|_)(TOKEN|SECRET|PASSWORD|PASSPHRASE|PASSWD|CREDENTIALS?|PRIVATE|APIKEY|AUTH)(_|$)|_KEY(_|$)|ACCESS_KEY/i;

/** Shorter values are words that stand for themselves elsewhere. */
const shortestSecret = 6;

const shapes: readonly RegExp[] = [
  // GitLab's own tokens (docs.gitlab.com/security/tokens, "Token prefixes").
  /\bgl[a-z]{2,6}-[\w.=-]{10,}/g,
  // Amazon's key ids, Google's keys, tokens of Pulumi's service.
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bAIza[\w-]{35}/g,
  /\bpul-[0-9a-f]{40}\b/g,
  // What Pulumi encrypted: useless without the passphrase, but nobody's business.
  /\bv1:[A-Za-z0-9+/=]{8,}(?::[A-Za-z0-9+/=]+)+/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
];

/** Tells texts without secrets. */
export type Redact = (text: string) => string;

/**
 * @param env what the process has in its environment
 * @param secrets other values that nobody may read
 */
export function redaction(
  env: Readonly<Record<string, string | undefined>>,
  secrets: readonly string[] = [],
): Redact {
  const named = Object.entries(env)
    .filter(([name]) => secretName.test(name))
    .flatMap(([, value]) => value ?? []);
  const values = [...named, ...secrets]
    .flatMap((value) => [value, ...value.split("\n")])
    .map((value) => value.trim())
    .filter((value) => value.length >= shortestSecret && !isPath(value))
    // The longest first: one may be a part of another.
    .sort((one, other) => other.length - one.length);
  const all = [...new Set(values)];
  return (text) => {
    let clean = text;
    for (const value of all) clean = clean.replaceAll(value, "[secret]");
    for (const shape of shapes) clean = clean.replace(shape, "[secret]");
    // User names and passwords in addresses, and tokens in their queries.
    return clean
      .replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, "$1[secret]@")
      .replace(
        /([?&](?:[\w-]*(?:token|signature|credential|secret|key)|sig)=)[^&\s"']+/gi,
        "$1[secret]",
      );
  };
}

/** Files with secrets are named by variables, too; their paths are none. */
function isPath(value: string): boolean {
  return /^(\/|\.{1,2}\/)[\w./-]+$/.test(value);
}
