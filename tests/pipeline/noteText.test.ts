/** The text of the note: what it says first, and that nothing in it is more than text. */

import { expect, test } from "vitest";
import { noteText } from "../../infra/pipeline/noteText.ts";
import {
  documentText,
  longestDocumentBytes,
  type PreviewDocument,
  parsePreviewDocument,
} from "../../infra/pipeline/previewDocument.ts";
import { longestTextBytes } from "../../infra/pipeline/textLimit.ts";
import { GitlabApi } from "../servers/gitlabApi.ts";
import { sampleDocument } from "./samples.ts";

const context = {
  pipeline: 4711,
  commit: "0123456789abcdef0123456789abcdef01234567",
  url: "https://gitlab.example/team/images/-/pipelines/4711",
};

const noteOf = (changes: Partial<PreviewDocument> = {}) =>
  noteText({ ...sampleDocument, ...changes }, context);

/** Where each of the texts begins, all of them there and in that order. */
function inOrder(note: string, ...texts: readonly string[]): void {
  const places = texts.map((text) => {
    expect(note).toContain(text);
    return note.indexOf(text);
  });
  expect(places).toEqual([...places].sort((one, other) => one - other));
}

test("it says what happens, then what it costs, then where, why and the rest", () => {
  const note = noteOf();
  inOrder(
    note,
    `<!-- cloud-images:preview pipeline=4711 commit=${context.commit} -->`,
    "### Preview of `prod`: 2 images appear, 1 image goes, 1 publication changes, 1 image stays",
    "[Pipeline 4711](https://gitlab.example/team/images/-/pipelines/4711), commit `0123456789ab`",
    "20 to create, 1 to update, 0 to replace, 8 to delete, 60 unchanged",
    "**What it costs**",
    // Two AMIs, and one version in three regions; two AMIs go.
    "- **+5 copies of images**, −2 go",
    // 2 × 8 + 3 × 30, and 2 × 8 less.
    "- **+106 GiB of disks there**, −16 go",
    "- **+38 GiB of disks in the store**, −8 go",
    "- machine `merge-amd64` appears, up to 4 at once",
    "| Platform | Place | Regions | Appear | Change | Go |",
    "| `azure` | `europe` | `westeurope`, `northeurope`, `francecentral` | 1 |  |  |",
    "| `ec2` | `frankfurt` | `eu-central-1` | 1 | 1 | 1 |",
    "| `ec2` | `oregon` | `us-west-2` | 1 |  | 1 |",
    "| Image | Key before | Key now | Because |",
    "| `debian-13-ec2-amd64` | `bbbbbbbbbbbb` | `aaaaaaaaaaaa` | `image-definitions/fai/package_config/EC2` has changed. |",
    "there is no build of it yet",
    "A warning of the program, the engine and its providers",
    "<summary>Packages of `debian-13-ec2-amd64` since version `20261120-1`: 1 new, 1 gone, 1 of another version</summary>",
    "| `vim` |  | `2:9.1.1230-2` |",
    "| `nano` | `8.4-1` |  |",
    "| `openssl` | `3.5.1-1` | `3.5.1-1+deb13u1` |",
    "<summary>1 other resource</summary>",
    "| `gitlab-image-schedule-daily` |",
  );
  expect(note).toContain("`ec2 eu-central-1`, `ec2 us-west-2`");
});

test("a preview that changes nothing says so in a line", () => {
  const note = noteOf({
    ...{ versions: [], publications: [], explanations: [], packages: [] },
    ...{ machines: [], others: [], problems: [] },
    counts: { create: 0, update: 0, replace: 0, delete: 0, same: 8 },
  });
  expect(note).toContain("### Preview of `prod`: nothing changes");
  expect(note.split("\n").length).toBeLessThan(8);
});

test("what has to be put right stands before everything else", () => {
  const text =
    "image-definitions/debian.yaml:12: classes: no such class.\n/close\nimage-definitions/schema.json describes every field.";
  const note = noteOf({
    isComplete: false,
    problems: [{ severity: "error", text }],
  });
  inOrder(
    note,
    "it cannot be brought up as it is",
    "**Put this right first:**",
    "<pre><code>image-definitions&#47;debian.yaml:12: classes: no such class.\n&#47;close\n",
    "**What it costs**",
  );
});

test("one against an empty state says so, and what was left out", () => {
  const note = noteOf({ state: "empty", leftOut: ["ec2", "gitlab"] });
  expect(note).toContain("**Against an empty state**");
  expect(note).toContain(
    "Left out, as they need credentials: `ec2`, `gitlab`.",
  );
});

const hostile = [
  "/close",
  "\n/approve\n/merge",
  '@everyone and @all, #1 !2 $3 &4 ~label %"milestone" :tada:',
  "```\n/merge\n```",
  "` | pipes | `` ` |",
  "</details></summary></pre></code><script>alert(1)</script>",
  "<!-- cloud-images:preview pipeline=99999 commit=aaaaaaaaaaaa -->",
  "<img src=x onerror=alert(1)>",
  "[a link](javascript:alert(1)) ![image](https://evil.example/x.png) <https://evil.example>",
  "**bold** _under_ ~~gone~~ # heading\n# heading\n- list\n> quote\n---",
  "\\` \\| \\<b> &lt;b&gt; &#64;everyone &commat;everyone",
  "\u202egnp.exe\u202c \u0000 \u001b[31mred \ud800",
  "[[_TOC_]] [-deleted-] {+added+} $`x`$ $$y$$ [^1] <details>",
  "\r\n/label ~done\r\n",
  "   /close",
  "Look at www.evil.example or evil.example, ftp.evil.example:80 (www.evil.example)",
  "PROJ-123 (GL-5) gl-030 debian-13 CU-abc T45, GH-7. AB_C-12 MR!8",
  'c3e59d277572 deadbeef 1234567 effaced. "0123456789ABCDEF" 20261120-1',
  "c3e59d2...deadbeef c3e59d2..deadbeef group/project@c3e59d2 group/project#1 group/project>",
  "[vulnerability:1] [issue:2] [epic:3] [work_item:4] [wiki_page:home] [feature_flag:5] [contact:me@evil.example] [cadence:6]",
  '*iteration:7 *iteration:"x" ^alert#8 $9 group&10 group%11 group~12 #13+s !14+',
  "Write to admin@evil.example, mailto:a.b+c@evil.example or xmpp:d_e@evil.example/f; -@evil.example",
  "1. one",
  "2) two",
];

/** A document with a text in each of its fields that take any. */
function documentWith(text: string): PreviewDocument {
  const resource = {
    ...{ type: text, name: text, properties: [text, text] },
    change: "appears" as const,
  };
  const [publication] = sampleDocument.publications;
  const document: PreviewDocument = {
    ...sampleDocument,
    state: "empty",
    leftOut: [text],
    publications: [
      {
        ...(publication as PreviewDocument["publications"][number]),
        place: text,
        regions: [text, `${text} again`],
      },
    ],
    explanations: sampleDocument.explanations.map((each) => ({
      ...each,
      reasons: [text, text, text, text],
    })),
    unexplained: text,
    packages: [
      {
        ...{ definition: "debian-13-ec2-amd64", key: "a".repeat(12) },
        ...{ packages: 1, base: "20261120-1" },
        changes: [
          { name: text, from: text, to: text },
          { name: text, to: text },
        ],
      },
    ],
    machines: [resource],
    others: [resource, resource],
    problems: [
      { severity: "error", text },
      { severity: "warning", text },
    ],
  };
  return parsePreviewDocument(JSON.stringify(document), "a test");
}

/** What is left when code is taken out: all of it is ours. */
function outsideCode(note: string): string {
  return note
    .replace(/<pre><code>[^<]*<\/code><\/pre>/g, "")
    .replace(/<code>[^<]*<\/code>/g, "")
    .replace(/`[^`\n]*`/g, "");
}

test.each(hostile)("a name like %j stays text", async (text) => {
  const note = noteText(documentWith(text), context);
  const [marker, ...lines] = note.split("\n");
  expect(marker).toContain("pipeline=4711");
  // No line begins like a quick action, wherever it stands.
  expect(lines.filter((line) => /^[\s>*+-]*\/\w/.test(line))).toEqual([]);
  expect(note).not.toMatch(/<!--(?! cloud-images:preview pipeline=4711 )/);
  const ours = outsideCode(lines.join("\n"));
  // Markup of ours, and no other.
  expect(ours.replaceAll(/<\/?(details|summary)>/g, "")).not.toMatch(/[<>`]/);
  expect(ours.match(/<details>/g)?.length).toBe(
    ours.match(/<\/details>/g)?.length,
  );
  expect(ours).not.toMatch(/[@~$]|&\w|\]\((?!https:\/\/gitlab\.example\/)|!\[/);
  expect(ours).not.toMatch(/evil|script|javascript|onerror|tada/);
  // Hosts, keys of issues, commits, and numbers of lists.
  const words = ours.replaceAll(/\]\(https:[^)]*\)/g, "]");
  expect(words).not.toMatch(
    /www|\w\.[a-z]|\b[a-z]\w*-\d|\bCU-|\bT\d|[0-9a-f]{7}|^- \d+[.)](?: |$)/im,
  );
  // Addresses of mail are found within the element for code as well.
  expect(note.replaceAll(/<pre>[\s\S]*?<\/pre>/g, "")).not.toMatch(
    /[\w.+-](?:@|&#64;)/,
  );
  // Each row of a table has as many cells as its head.
  const rows = lines.filter((line) => line.startsWith("|"));
  for (const [index, row] of rows.entries()) {
    if (!/^\| --- /.test(row)) continue;
    const cells = (line: string | undefined) => line?.split("|").length;
    expect(cells(rows[index + 1])).toBe(cells(row));
    expect(cells(rows[index - 1])).toBe(cells(row));
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may be left.
  expect(note).not.toMatch(/[\x00-\x09\x0b-\x1f\u202a-\u202e\ud800]/);

  // GitLab itself finds nothing to carry out.
  await using gitlab = await GitlabApi.start();
  const project = gitlab.addProject(1, "team/images");
  project.mergeRequest(1);
  gitlab.addToken("glpat-test-of-note-text", project);
  const answer = await fetch(
    `${gitlab.url}/projects/1/merge_requests/1/notes`,
    {
      method: "POST",
      headers: {
        "private-token": "glpat-test-of-note-text",
        "content-type": "application/json",
      },
      body: JSON.stringify({ body: note }),
    },
  );
  expect(answer.status).toBe(201);
  expect(gitlab.quickActions).toEqual([]);
  expect(project.mergeRequest(1).notes[0]?.body).toBe(note.trim());
});

test("plain words and numbers stay as they are", () => {
  const reasons = [
    "The well-known builder's version 12 (it was 1.5) is newer, as of 2026-11-21: yes!",
    "Built by www.evil.example as PROJ-123 from deadbeef in 3.",
  ];
  const explanations = sampleDocument.explanations.map((each) => ({
    ...each,
    reasons,
  }));
  const note = noteOf({ explanations });
  expect(note).toContain(reasons[0]);
  expect(note).toContain(
    "Built by `www.evil.example` as `PROJ-123` from `deadbeef` in 3.",
  );
});

test("the stand-in does carry out what begins a line", async () => {
  await using gitlab = await GitlabApi.start();
  const project = gitlab.addProject(1, "team/images");
  project.mergeRequest(1);
  gitlab.addToken("glpat-test-of-note-text", project);
  const answer = await fetch(
    `${gitlab.url}/projects/1/merge_requests/1/notes`,
    {
      method: "POST",
      headers: {
        "private-token": "glpat-test-of-note-text",
        "content-type": "application/json",
      },
      body: JSON.stringify({ body: "/close" }),
    },
  );
  expect(answer.status).toBe(202);
  expect(gitlab.quickActions).toEqual(["/close"]);
});

test("a thousand images in ten places stay far below GitLab's limit", () => {
  const many = Array.from({ length: 1000 }, (_, index) => ({
    definition: `debian-13-variant${index}-amd64`,
    key: index.toString(16).padStart(12, "0"),
  }));
  const note = noteOf({
    versions: many.map((each) => ({ ...each, change: "appears", sizeGiB: 8 })),
    publications: many.flatMap((each) =>
      Array.from({ length: 10 }, (_, place) => ({
        ...each,
        platform: "openstack",
        place: `cloud${place}`,
        regions: [],
        change: "appears" as const,
      })),
    ),
    explanations: [],
  });
  expect(note.length).toBeLessThan(100_000);
  expect(note).toContain("**+10000 copies of images**");
  expect(note).toContain("(1000)</summary>");
  expect(note).toContain("… and 800 more, in `preview.json`");
});

test("one that is too long ends between two parts, with words", () => {
  for (const character of ["<", "\u20ac"]) {
    const text = character.repeat(20_000);
    const problems = Array.from({ length: 100 }, () => ({
      severity: "error" as const,
      text,
    }));
    const packages = sampleDocument.packages.flatMap((each) =>
      Array.from({ length: 3000 }, () => ({
        ...each,
        changes: [{ name: text.slice(0, 300), to: "1" }],
      })),
    );
    for (const whole of [noteOf({ problems }), noteOf({ packages })]) {
      expect(Buffer.byteLength(whole)).toBeLessThanOrEqual(longestTextBytes);
      expect(whole).toContain("**Cut here**");
    }
  }

  const note = noteText(sampleDocument, {
    ...context,
    longestBytes: 1500,
  });
  expect(note.length).toBeLessThanOrEqual(1500);
  expect(note).toMatch(
    /\*\*Cut here\*\*: \d+ more parts have no room in GitLab/,
  );
  expect(note.match(/<details>/g)?.length ?? 0).toBe(
    note.match(/<\/details>/g)?.length ?? 0,
  );
  inOrder(note, "### Preview", "**What it costs**", "**Cut here**");
});

test("a document of another form, or too long a one, is refused without a word of what is in it", () => {
  const refusal = (text: string) => {
    try {
      parsePreviewDocument(text, "preview.json of job 5");
    } catch (error) {
      return String(error);
    }
    return "taken";
  };
  const changed = (changes: object) =>
    refusal(JSON.stringify({ ...sampleDocument, ...changes }));
  expect(refusal(JSON.stringify(sampleDocument))).toBe("taken");
  expect(refusal("{")).toMatch(/preview.json of job 5 .*not JSON/);
  expect(changed({ format: 2 })).toMatch(/format is not what it should be/);
  expect(changed({ more: "/close" })).not.toContain("/close");
  expect(changed({ stack: "@all\n/close" })).toMatch(/stack is not/);
  expect(refusal(" ".repeat(5 * 1024 * 1024))).toMatch(/longer than/);
});

test("a document that has no room for all packages says so, and can be read", () => {
  const [difference] = sampleDocument.packages;
  const changes = Array.from({ length: 20_000 }, (_, index) => ({
    name: `package-${index}-${"x".repeat(200)}`,
    from: "1",
  }));
  const text = documentText({
    ...sampleDocument,
    packages: [
      { ...(difference as (typeof sampleDocument.packages)[number]), changes },
    ],
  });
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(longestDocumentBytes);
  const document = parsePreviewDocument(text, "preview.json");
  expect(document.packages).toEqual([]);
  expect(document.publications).toEqual(sampleDocument.publications);
  expect(noteText(document, context)).toContain("no room in its document");
  expect(documentText(sampleDocument)).toBe(
    `${JSON.stringify(sampleDocument, undefined, 1)}\n`,
  );
});
