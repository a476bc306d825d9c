/**
 * Markdown of GitLab's, with texts in it that others wrote. Pure.
 *
 * Whatever such a text has in it stays text: no markup, no HTML, no mention, no reference, and no quick action, which GitLab
 * finds at the beginnings of lines before it parses anything (lib/gitlab/quick_actions/extractor.rb of its sources). So no text
 * of others begins a line, and what could be a mention or a reference stands inside of `code`, where GitLab looks for none.
 */

/** Control characters and those that turn the direction of writing: they would show something else than what is there. */
const invisible =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be removed.
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** What can stand between backticks in a table's cell. */
const plainCode = /^[A-Za-z0-9][A-Za-z0-9 _.:/+-]*$/;

/**
 * A word that no parser sees anything in: of letters, or a number. With dots, letters could be a host; with digits, the key of an
 * issue: GitLab takes `PROJ-123`, `gl-030` or `T45` for one, where an external tracker says so (app/models/integrations).
 */
const plainWord =
  /^[("']?(?:[A-Za-z]+(?:['-][A-Za-z]+)*|\d+(?:[.,-]\d+)*)[.,;:)"'!?]*$/;

/** Words that are links all the same: hashes of commits, from 7 digits on (app/models/commit.rb), and keys of ClickUp's. */
const plainReference = /[0-9a-f]{7}|^\W?CU-/i;

/** Begins a list where it begins an item or a line. */
const listNumber = /^\d+[.)]$/;

/** A name, number or short text, in `code`, on one line. */
export function code(text: string): string {
  const line = oneLine(text);
  if (line === "") return "";
  if (plainCode.test(line)) return `\`${line.trim()}\``;
  // Markdown finds addresses of mail also within this element, unless it ends before their sign.
  return line
    .split(/(?<=[\w.+-])(?=@)/)
    .map(
      (part) =>
        `<code>${entities(part, /[^A-Za-z0-9 ,\u0080-\uffff-]/g)}</code>`,
    )
    .join("");
}

/** A sentence: what is more than a plain word is set as code. */
export function prose(text: string): string {
  const words = oneLine(text).split(" ");
  // Words in a row that need it share one element.
  const parts: { readonly isPlain: boolean; words: string[] }[] = [];
  for (const [index, word] of words.entries()) {
    const isPlain =
      plainWord.test(word) &&
      !plainReference.test(word) &&
      !(index === 0 && listNumber.test(word));
    const last = parts.at(-1);
    if (last?.isPlain === isPlain) last.words.push(word);
    else parts.push({ isPlain, words: [word] });
  }
  return parts
    .map(({ isPlain, words }) =>
      isPlain ? words.join(" ") : code(words.join(" ")),
    )
    .join(" ");
}

/** A text of any number of lines, as it is. */
export function block(text: string): string {
  const lines = text.replaceAll("\r\n", "\n").replace(/\n+$/, "").split("\n");
  // Its first line stands beside the tag, and none of the others can be blank, at which HTML would end.
  const shown = lines.map(
    (line) =>
      // No markup is looked for in here but HTML's, and quick actions.
      entities(visible(line), /[^A-Za-z0-9 .,:;()_\u0080-\uffff-]/g) || "&#32;",
  );
  return `<pre><code>${shown.join("\n")}</code></pre>`;
}

/** A table. Cells are markdown. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join(
    "\n",
  );
}

/** What is folded until it is asked for. @param title markdown, on one line */
export function details(title: string, body: string): string {
  return `<details><summary>${title}</summary>\n\n${body}\n\n</details>`;
}

/** A list. Items are markdown, on one line each. */
export function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join("\n");
}

function visible(text: string): string {
  return text.replace(invisible, "\ufffd");
}

function oneLine(text: string): string {
  return visible(text.replace(/\s+/g, " ").trim());
}

/** Characters that may be taken for markup by their numbers: no parser takes those for any. */
function entities(text: string, markup: RegExp): string {
  return text.replace(markup, (character) => `&#${character.charCodeAt(0)};`);
}
