/** The note on a merge request: what a merge would do, what costs money first, and what is long folded. Pure. */

import { block, code, details, list, prose, table } from "./markdown.ts";
import { markerOf, type PipelineMark } from "./noteMarker.ts";
import type {
  Change,
  PackageDifference,
  PreviewDocument,
} from "./previewDocument.ts";
import { longestTextBytes, withinLimit } from "./textLimit.ts";

/** Rows of a table that somebody reads; more are in the artifact. */
const mostRows = 200;

/** Lists and tables that are longer are folded. */
const longestOpenRows = 15;

/** Where the preview was made. */
export interface NoteContext extends PipelineMark {
  /** Of the pipeline's page. */
  readonly url?: string | undefined;
  /** Another limit than GitLab's, for tests. */
  readonly longestBytes?: number;
}

/** The note's text, its marker first. */
export function noteText(
  document: PreviewDocument,
  context: NoteContext,
): string {
  const sections = [
    markerOf(context),
    heading(document),
    origin(document, context),
    failures(document),
    ...costs(document),
    places(document),
    keys(document),
    machines(document),
    warnings(document),
    ...document.packages.map(packages),
    reasons(document),
    others(document),
  ].filter((section) => section !== "");
  return withinLimit(
    sections,
    context.longestBytes ?? longestTextBytes,
    `${code("preview.json")} among the job's artifacts has all of it.`,
  );
}

function heading({
  stack,
  versions,
  publications,
  counts,
  isComplete,
}: PreviewDocument): string {
  const images = (change: string) =>
    versions.filter((version) => version.change === change).length;
  const parts = [
    counted(images("appears"), "image appears", "images appear"),
    counted(images("goes"), "image goes", "images go"),
    counted(
      publications.filter(({ change }) => isInBetween(change)).length,
      "publication changes",
      "publications change",
    ),
    counted(images("stays"), "image stays", "images stay"),
  ].filter((part) => part !== "");
  const { create, update, replace, delete: deleted } = counts;
  const isNothing = create + update + replace + deleted === 0;
  const what = !isComplete
    ? "it cannot be brought up as it is"
    : isNothing
      ? "nothing changes"
      : parts.join(", ") || "only other resources change";
  return `### Preview of ${code(stack)}: ${what}`;
}

function counted(count: number, one: string, many: string): string {
  return count === 0 ? "" : `${count} ${count === 1 ? one : many}`;
}

function isInBetween(change: Change): boolean {
  return change === "changes" || change === "replaced";
}

function origin(
  { state, stack, leftOut, counts }: PreviewDocument,
  { pipeline, commit, url }: NoteContext,
): string {
  const link =
    url !== undefined && /^https?:\/\/[\w.:/~-]+$/.test(url)
      ? `[Pipeline ${pipeline}](${url})`
      : `Pipeline ${pipeline}`;
  const { create, update, replace, delete: deleted, same } = counts;
  const resources = `resources: ${create} to create, ${update} to update, ${replace} to replace, ${deleted} to delete, ${same} unchanged`;
  const from = `${link}, commit ${code(commit.slice(0, 12))}; ${resources}.`;
  if (state === "target") return from;
  const without =
    leftOut.length === 0
      ? ""
      : ` Left out, as they need credentials: ${leftOut.map(code).join(", ")}.`;
  return [
    from,
    `**Against an empty state**: this pipeline has no access to the state of ${code(stack)}, as is so for merge requests of forks and unprotected branches. So every image looks new here, published to one directory.${without}`,
  ].join("\n\n");
}

function failures({ problems }: PreviewDocument): string {
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return "";
  return [
    "**Put this right first:**",
    ...errors.slice(0, mostRows).map(({ text }) => block(text)),
  ].join("\n\n");
}

/** A publication, and the disk that it holds. */
function costs(document: PreviewDocument): readonly string[] {
  const { publications, versions, machines } = document;
  const sizes = new Map(
    versions.map(({ definition, key, sizeGiB }) => [
      `${definition} ${key}`,
      sizeGiB ?? 0,
    ]),
  );
  const copies = (change: Change) =>
    publications
      .filter((each) => each.change === change)
      .map(({ definition, key, regions, ...rest }) => {
        const count = Math.max(1, regions.length);
        const sizeGiB = sizes.get(`${definition} ${key}`) ?? 0;
        return { ...rest, regions, count, diskGiB: sizeGiB * count };
      });
  const [appear, go] = [copies("appears"), copies("goes")];
  const built = versions.filter(({ change }) => change === "appears");
  const dropped = versions.filter(({ change }) => change === "goes");
  const items = [
    difference(
      appear.reduce(sumOf("count"), 0),
      go.reduce(sumOf("count"), 0),
      (count) => `${count} ${count === 1 ? "copy" : "copies"} of images`,
      `in ${regionsOf([...appear, ...go])}`,
    ),
    difference(
      appear.reduce(sumOf("diskGiB"), 0),
      go.reduce(sumOf("diskGiB"), 0),
      (sizeGiB) => `${rounded(sizeGiB)} GiB of disks there`,
      "at most: platforms bill what is written of them",
    ),
    difference(
      built.reduce(sumOf("sizeGiB"), 0),
      dropped.reduce(sumOf("sizeGiB"), 0),
      (sizeGiB) => `${rounded(sizeGiB)} GiB of disks in the store`,
      "at most, before compression",
    ),
    ...machines.map(
      ({ name, change, most }) =>
        `machine ${code(name)} ${sign(change)}${most === undefined ? "" : `, up to ${most} at once`}`,
    ),
  ].filter((item) => item !== "");
  return items.length === 0
    ? []
    : [`**What it costs**\n\n${listOf(items, "machines and copies")}`];
}

function sumOf<Name extends string>(name: Name) {
  return (sum: number, each: { readonly [N in Name]?: number | undefined }) =>
    sum + (each[name] ?? 0);
}

/** `+12 copies (-4 go) in …`; nothing where nothing comes or goes. */
function difference(
  more: number,
  less: number,
  words: (amount: number) => string,
  remark: string,
): string {
  if (more === 0 && less === 0) return "";
  const parts = [
    ...(more === 0 ? [] : [`**+${words(more)}**`]),
    ...(less === 0
      ? []
      : [more === 0 ? `**−${words(less)}**` : `−${rounded(less)} go`]),
  ];
  return `${parts.join(", ")} (${remark})`;
}

function rounded(amount: number): string {
  return String(Math.round(amount * 10) / 10);
}

function sign(change: Change): string {
  return {
    appears: "appears",
    goes: "goes",
    changes: "changes",
    replaced: "is made anew",
  }[change];
}

/** Where something is, in a few words. */
function regionsOf(
  copies: readonly {
    readonly platform: string;
    readonly place?: string | undefined;
    readonly regions: readonly string[];
  }[],
): string {
  const names = new Set(
    copies.flatMap(({ platform, place, regions }) =>
      regions.length > 0
        ? regions.map((region) => `${platform} ${region}`)
        : [`${platform} ${place ?? ""}`.trim()],
    ),
  );
  const shown = [...names].sort();
  const few = shown.slice(0, 6).map(code).join(", ");
  return shown.length > 6 ? `${few} and ${shown.length - 6} more` : few;
}

function places({ publications }: PreviewDocument): string {
  const groups = Map.groupBy(publications, ({ platform, place, regions }) =>
    JSON.stringify([platform, place ?? "", [...regions].sort()]),
  );
  const rows = [...groups]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([, group]) => {
      const [first] = group;
      if (first === undefined) return [];
      const count = (isMeant: (change: Change) => boolean) =>
        String(group.filter(({ change }) => isMeant(change)).length || "");
      return [
        [
          code(first.platform),
          code(first.place ?? ""),
          first.regions.slice(0, 20).map(code).join(", "),
          count((change) => change === "appears"),
          count(isInBetween),
          count((change) => change === "goes"),
        ],
      ];
    });
  return folded(
    "**Where**",
    ["Platform", "Place", "Regions", "Appear", "Change", "Go"],
    rows,
  );
}

/** Keys old and new, and what made the difference. */
function keys({
  versions,
  explanations,
  unexplained,
  state,
}: PreviewDocument): string {
  const why = new Map(
    explanations.map((each) => [`${each.definition} ${each.key}`, each]),
  );
  const rows = versions
    .filter(({ change }) => change === "appears")
    .map(({ definition, key }) => {
      const known = why.get(`${definition} ${key}`);
      const before = known?.before;
      const reason =
        known === undefined || (before === undefined && state === "empty")
          ? ""
          : before === undefined
            ? "there is no build of it yet"
            : before.key === key
              ? `built as ${code(before.version)} already`
              : briefly(known.reasons);
      const old =
        before === undefined || before.key === key ? "" : code(before.key);
      return [code(definition), old, code(key), reason];
    });
  const told = folded(
    "**Images that appear, and why**",
    ["Image", "Key before", "Key now", "Because"],
    rows,
  );
  const going = versions.filter(({ change }) => change === "goes");
  const gone = folded(
    "**Images that go**",
    ["Image", "Key"],
    going.map(({ definition, key }) => [code(definition), code(key)]),
  );
  const silent =
    unexplained === undefined
      ? ""
      : `Why keys differ is not known here: ${prose(unexplained)}`;
  return [told, silent, gone].filter((part) => part !== "").join("\n\n");
}

/** The first reasons; all of them come below. */
function briefly(reasons: readonly string[]): string {
  const shown = reasons.slice(0, 3).map(prose).join(" ");
  return reasons.length > 3 ? `${shown} … (${reasons.length} in all)` : shown;
}

function reasons({ explanations }: PreviewDocument): string {
  return explanations
    .filter((each) => each.reasons.length > 3)
    .map(({ definition, key, reasons }) =>
      details(
        `All ${reasons.length} reasons for ${code(definition)} ${code(key)}`,
        list(reasons.slice(0, mostRows).map(prose)),
      ),
    )
    .join("\n\n");
}

function machines({ machines }: PreviewDocument): string {
  return folded(
    "**Machines**",
    ["Machine", "Type", "", "Properties"],
    machines.map(resourceRow),
  );
}

function others({ others }: PreviewDocument): string {
  if (others.length === 0) return "";
  const rows = others.slice(0, mostRows).map(resourceRow);
  return details(
    `${others.length} other ${others.length === 1 ? "resource" : "resources"}`,
    withMore(
      table(["Resource", "Type", "", "Properties"], rows),
      others.length - rows.length,
    ),
  );
}

function resourceRow({
  name,
  type,
  change,
  properties,
}: PreviewDocument["others"][number]): readonly string[] {
  const shown = properties.slice(0, 10).map(code).join(", ");
  return [code(name), code(type), sign(change), shown];
}

function warnings({ problems }: PreviewDocument): string {
  const texts = problems
    .filter(({ severity }) => severity === "warning")
    .map(({ text }) => text);
  if (texts.length === 0) return "";
  const blocks = texts.slice(0, mostRows).map(block).join("\n\n");
  const title = `${texts.length === 1 ? "A warning" : `${texts.length} warnings`} of the program, the engine and its providers`;
  return texts.length <= 3 &&
    texts.join("\n").split("\n").length <= longestOpenRows
    ? `**${title}**\n\n${blocks}`
    : details(title, withMore(blocks, texts.length - mostRows));
}

/** What of an image's packages changes. */
function packages({
  definition,
  packages,
  base,
  changes,
}: PackageDifference): string {
  const name = code(definition);
  if (base === undefined) {
    return `Packages of ${name}: ${packages}; there is no other build to compare them with.`;
  }
  if (changes.length === 0) {
    return `Packages of ${name}: the same ${packages} as in version ${code(base)}.`;
  }
  const count = (isMeant: (change: (typeof changes)[number]) => boolean) =>
    changes.filter(isMeant).length;
  const title = [
    `Packages of ${name} since version ${code(base)}:`,
    [
      `${count(({ from }) => from === undefined)} new`,
      `${count(({ to }) => to === undefined)} gone`,
      `${count(({ from, to }) => from !== undefined && to !== undefined)} of another version`,
    ].join(", "),
  ].join(" ");
  // What comes and goes says more than what was updated.
  const ordered = [...changes].sort(
    (one, other) => weightOf(one) - weightOf(other),
  );
  const rows = ordered
    .slice(0, mostRows)
    .map(({ name, from, to }) => [
      code(name),
      code(from ?? ""),
      code(to ?? ""),
    ]);
  return details(
    title,
    withMore(
      table(["Package", "Before", "Now"], rows),
      changes.length - rows.length,
    ),
  );
}

function weightOf({ from, to }: PackageDifference["changes"][number]): number {
  return from !== undefined && to !== undefined ? 1 : 0;
}

/** A table, folded where it is long; nothing where it has no rows. */
function folded(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  if (rows.length === 0) return "";
  if (rows.length <= longestOpenRows) return `${title}\n\n${table(head, rows)}`;
  const shown = table(head, rows.slice(0, mostRows));
  return details(
    `${title} (${rows.length})`.replaceAll("**", ""),
    withMore(shown, rows.length - mostRows),
  );
}

/** A list of which the rest is folded. */
function listOf(items: readonly string[], what: string): string {
  const rest = items.slice(longestOpenRows);
  const open = list(items.slice(0, longestOpenRows));
  return rest.length === 0
    ? open
    : `${open}\n\n${details(`${rest.length} more ${what}`, list(rest.slice(0, mostRows)))}`;
}

function withMore(text: string, more: number): string {
  return more > 0
    ? `${text}\n\n… and ${more} more, in ${code("preview.json")} among the job's artifacts.`
    : text;
}
