/** Texts that are no longer than GitLab takes them. Pure. */

/**
 * GitLab takes notes and descriptions of 1 MiB (its setting description_and_note_max_size, by default), older versions of 1,000,000
 * characters (Gitlab::Database::MAX_TEXT_SIZE_LIMIT of its sources). So many bytes are within both.
 */
export const longestTextBytes = 1_000_000;

/**
 * As many sections as there is room for, and a word on those that there is none for.
 *
 * @param longest bytes of the whole
 * @param rest sentence that says where to look for what is left out
 */
export function withinLimit(
  sections: readonly string[],
  longest: number,
  rest: string,
): string {
  const whole = `${sections.join("\n\n")}\n`;
  if (Buffer.byteLength(whole) <= longest) return whole;
  const cut = (left: number) =>
    `**Cut here**: ${left} more ${left === 1 ? "part has" : "parts have"} no room in GitLab. ${rest}`;
  const kept: string[] = [];
  let room = longest - Buffer.byteLength(cut(sections.length)) - 3;
  for (const section of sections) {
    room -= Buffer.byteLength(section) + 2;
    if (room < 0) break;
    kept.push(section);
  }
  return `${[...kept, cut(sections.length - kept.length)].join("\n\n")}\n`;
}
