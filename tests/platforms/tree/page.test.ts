import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ImageVersion } from "../../../infra/definitions/definition.ts";
import {
  publish,
  refreshIndex,
} from "../../../infra/platforms/directory/publication.ts";
import { writePlaceFailure, writeRun } from "../../../infra/store/attempts.ts";
import { DirectoryStore } from "../../../infra/store/directoryStore.ts";
import { writePublication } from "../../../infra/store/documents.ts";
import {
  type SampleImage,
  sampleDefinition,
  sampleKey,
  storeBuild,
  usualFormats,
} from "../../store/records.ts";

/** Texts that come from definitions and packages, and so from outside. */
const hostile = {
  description: `</p><script>window.broken = 1</script><img src=x onerror="window.broken = 1">`,
  name: `evil"onmouseover="window.broken=1`,
  version: `1.0<svg/onload='window.broken=1'>`,
};

const samples: readonly SampleImage[] = [
  { firmware: ["bios", "uefi", "uefi-secure-boot"] },
  { version: "20261119-2" },
  { version: "20261114-1" },
  {
    variant: "nocloud",
    description: hostile.description,
    packages: [
      { ...hostile, architecture: "amd64" },
      { name: "p".repeat(300), version: "1".repeat(300), architecture: "all" },
    ],
  },
  { release: "bookworm", version: "20261120-1" },
];

let top: string;
let root: string;
let browser: Browser;

beforeAll(async () => {
  const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  top = await mkdtemp(join(memory, "page-"));
  root = join(top, "public");
  for (const sample of samples) await publishSample(sample);
  await recordRun();
  await refreshIndex({ root, store: join(top, "store") });
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
});
afterAll(async () => {
  await browser?.close();
  await rm(top, { recursive: true, force: true });
});

async function publishSample(sample: SampleImage) {
  const store = new DirectoryStore(join(top, "store"));
  const { key, version, definition } = await storeBuild(store, sample);
  await publish({
    ...{ stack, root },
    store: store.location,
    key,
    version,
    release: definition.release.codename,
    channel: sample.channel ?? "release",
    definition: definition.name,
    formats: usualFormats,
    firmware: definition.bootCheck.firmware,
  });
}

const stack = "organization/cloud-images/local";
const inDirectory = { platform: "directory" };
const inWest = { platform: "ec2", place: "west" };
const inNorth = { platform: "openstack", place: "north" };

/** The newest is in the directory and in EC2; a cloud has the one before, and has never had another image. */
async function recordRun() {
  const store = new DirectoryStore(join(top, "store"));
  const images = samples
    .filter((_, index) => index !== 1 && index !== 2)
    .map((sample, index) => ({
      definition: sampleDefinition(sample).name,
      key: sampleKey(sample),
      places: index === 2 ? [inDirectory] : [inDirectory, inWest, inNorth],
    }));
  const startedAt = "2026-11-21T03:00:00.000Z";
  await writeRun(store, { stack, startedAt, images }, []);
  const [newest = {}, before = {}] = samples;
  const common = { stack, channel: "release", inputs: {}, files: [] } as const;
  const publishedAt = "2026-11-21T04:00:00.000Z";
  const verifiedAt = publishedAt;
  for (const [place, sample] of [
    [inWest, newest],
    [inNorth, before],
  ] as const) {
    await writePublication(store, {
      ...{ ...common, ...place, publishedAt },
      key: sampleKey(sample),
      version: (sample.version ?? "20261121-1") as ImageVersion,
      definition: sampleDefinition(sample),
      ...(place === inWest
        ? { verification: { readBlocks: 8, allBlocks: 8, verifiedAt } }
        : {}),
    });
  }
  for (const sample of [newest, samples[3]]) {
    await writePlaceFailure(store, {
      ...{ ...inNorth, stack, failedAt: publishedAt },
      definition: sampleDefinition(sample).name,
      message: `The cloud north is full. ${hostile.description}`,
    });
  }
}

interface Opening {
  readonly width?: number;
  readonly colorScheme?: "light" | "dark";
  /** Whether everything that can be unfolded is. */
  readonly unfolded?: boolean;
  /** What the reader's clock says. */
  readonly now?: string;
}

/** The page, and what the browser said about it. */
async function open(opening: Opening = {}) {
  const { width = 1100, colorScheme = "light", unfolded = true } = opening;
  const page = await browser.newPage({
    viewport: { width, height: 800 },
    colorScheme,
  });
  if (opening.now !== undefined) await page.clock.setFixedTime(opening.now);
  const said: string[] = [];
  const requested: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  page.on("request", (request) => requested.push(request.url()));
  await page.goto(pathToFileURL(join(root, "index.html")).href);
  if (unfolded) {
    await page.evaluate(
      "document.querySelectorAll('details').forEach((each) => { each.open = true })",
    );
  }
  return { page, said, requested };
}

const widthOf = (page: Page) =>
  page.evaluate<number>("document.documentElement.scrollWidth");

describe("the index page", () => {
  it("lists releases and images, the newest release first", async () => {
    const { page } = await open();
    expect(await page.locator("h2").allInnerTexts()).toEqual([
      "Debian 13 trixie, release",
      "Debian 12 bookworm, release",
      "Where each image is",
    ]);
    expect(await page.locator("article h3").allInnerTexts()).toEqual([
      "debian-13-genericcloud-amd64",
      "debian-13-nocloud-amd64",
      "debian-12-genericcloud-amd64",
    ]);
    const first = page.locator("article").first();
    expect(await first.locator(".version").textContent()).toContain(
      "20261121-1",
    );
    expect(await first.locator(".older b").allInnerTexts()).toEqual([
      "20261119-2",
      "20261114-1",
    ]);
    await page.close();
  });

  it("shows each boot check with its milestones and its evidence", async () => {
    const { page } = await open();
    const rows = page.locator("article").first().locator(".scroll tbody tr");
    const texts = (await rows.allInnerTexts()).map((text) =>
      text.split(/\s+/).join(" ").trim(),
    );
    expect(texts).toHaveLength(3);
    expect(texts[0]).toMatch(
      /BIOS.*emulated 1\.2 s 4\.9 s 11\.3 s 27\.4 s 31\.0 s console screenshot JUnit/,
    );
    await page.close();
  });

  it("shows which place has what of each image, and what went wrong there", async () => {
    const { page } = await open({ now: "2026-11-24T03:12:45.000Z" });
    const table = page.locator(".places");
    expect(await table.locator("thead th").allInnerTexts()).toEqual([
      ...["Image", "directory", "ec2 west", "openstack north"],
    ]);
    const rows = await table.locator("tbody tr").all();
    const cells = await Promise.all(
      rows.map(async (row) =>
        (await row.locator("th, td").allInnerTexts()).map((text) =>
          text.split(/\s+/).join(" ").trim(),
        ),
      ),
    );
    const there = "20261121-1 release, verified 3 days ago";
    expect(cells).toEqual([
      [
        ...["debian-13-genericcloud-amd64", there, there],
        "20261119-2 release, not verified, behind 3 days ago failed",
      ],
      [
        ...["debian-13-nocloud-amd64", there],
        ...["not there", "not there failed"],
      ],
      [
        "debian-12-genericcloud-amd64",
        ...["20261120-1 release, verified 3 days ago", "", ""],
      ],
    ]);
    const errors = page.locator("ul.errors li");
    expect(await errors.first().innerText()).toContain(
      "debian-13-genericcloud-amd64 in openstack north, 21 November 2026, 2 days ago",
    );
    expect(await errors.first().innerText()).toContain(
      `The cloud north is full. ${hostile.description}`,
    );
    await page.close();
  });

  it("is not written again while it says what there is", async () => {
    const path = join(root, "index.html");
    const { mtimeNs } = await stat(path, { bigint: true });
    await refreshIndex({ root, store: join(top, "store") });
    expect((await stat(path, { bigint: true })).mtimeNs).toBe(mtimeNs);
    const data = JSON.parse(await readFile(join(root, "index.json"), "utf8"));
    expect(data.places).toHaveLength(7);
    expect(data.places[2]).toMatchObject({
      ...{ ...inNorth, isCurrent: false, published: { isVerified: false } },
      error: { at: "2026-11-21T04:00:00.000Z" },
    });
  });

  it("links to nothing that is not there", async () => {
    const { page } = await open();
    const links = page.locator("a[href], link[href^='index']");
    const targets = await links.evaluateAll((elements) =>
      elements.map((element) => (element as unknown as { href: string }).href),
    );
    expect(targets.length).toBeGreaterThan(50);
    for (const target of new Set(targets)) {
      const { hash } = new URL(target);
      if (hash === "") {
        expect(existsSync(fileURLToPath(target)), target).toBe(true);
      } else {
        expect(await page.locator(`[id="${hash.slice(1)}"]`).count()).toBe(1);
      }
    }
    await page.close();
  });

  it("gives a checksum that is the file's", async () => {
    const { page } = await open();
    const sums = await readFile(join(root, "trixie/latest/SHA512SUMS"), "utf8");
    const shown = await page.locator("article .digest").first().textContent();
    expect(sums).toContain(`${shown}  debian-13-genericcloud-amd64.qcow2\n`);
    await page.close();
  });

  it("shows hostile names as they are, and runs nothing of them", async () => {
    const { page, said } = await open();
    const text = await page.locator("article").nth(1).textContent();
    for (const part of Object.values(hostile)) expect(text).toContain(part);
    expect(await page.locator("svg, img, main script").count()).toBe(0);
    expect(await page.evaluate("window.broken")).toBeUndefined();
    expect(said).toEqual([]);
    await page.close();
  });

  it("says how old each image is by the reader's clock", async () => {
    const { page } = await open({ now: "2026-11-24T03:12:45.000Z" });
    const ages = await page.locator("article time[data-age]").allInnerTexts();
    expect(ages).toEqual(Array(3).fill("21 November 2026, 3 days ago"));
    await page.close();
  });

  it("asks for nothing but itself, and the browser has nothing to say", async () => {
    const { page, said, requested } = await open();
    expect(requested.filter((url) => !url.startsWith("data:"))).toEqual([
      pathToFileURL(join(root, "index.html")).href,
    ]);
    expect(said).toEqual([]);
    await page.close();
  });

  it.each([320, 360, 600, 800, 1100, 1920])(
    "fits a window %i pixels wide, folded or not",
    async (width) => {
      for (const unfolded of [false, true]) {
        const { page } = await open({ width, unfolded });
        expect(await widthOf(page)).toBe(width);
        await page.close();
      }
    },
  );

  it.each(["light", "dark"] as const)(
    "is legible in a %s scheme",
    async (colorScheme) => {
      const { page } = await open({ colorScheme });
      const colours = await page.evaluate<Record<string, string>>(`(() => {
        const style = getComputedStyle(document.documentElement);
        const names = ["paper", "card", "tint", "code", "ink", "soft", "accent", "good"];
        return Object.fromEntries(names.map((name) => [name, style.getPropertyValue("--" + name)]));
      })()`);
      const { paper = "", card = "", tint = "", code = "" } = colours;
      expect(luminance(paper) > 0.5).toBe(colorScheme === "light");
      for (const text of ["ink", "soft", "accent", "good"]) {
        for (const ground of [paper, card, tint, code]) {
          // WCAG 2.2, 1.4.3: at least 4.5 to 1.
          const ratio = contrast(colours[text] ?? "", ground);
          expect(ratio, `${text} on ${ground}`).toBeGreaterThan(4.5);
        }
      }
      await page.close();
    },
  );

  it("can be read by ear: one h1, no level skipped, every table named", async () => {
    const { page } = await open();
    const headings = await page
      .locator("h1, h2, h3, h4")
      .evaluateAll((all) => all.map((each) => Number(each.tagName.slice(1))));
    expect(headings.filter((level) => level === 1)).toHaveLength(1);
    headings.forEach((level, index) => {
      expect(level - (headings[index - 1] ?? 0)).toBeLessThanOrEqual(1);
    });
    for (const table of await page.locator("table").all()) {
      const region = table.locator("xpath=ancestor::*[@role='region']");
      expect(await region.getAttribute("aria-label")).toBeTruthy();
    }
    await page.close();
  });

  it("prints images without what only a screen can use", async () => {
    const { page } = await open();
    await page.emulateMedia({ media: "print" });
    expect(await page.locator("nav").isVisible()).toBe(false);
    expect(await page.locator(".more").first().isVisible()).toBe(false);
    expect(await page.locator(".download").first().isVisible()).toBe(true);
    await page.close();
  });
});

/** Relative luminance of `#rrggbb` (WCAG 2.2). */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (colour.match(/[0-9a-f]{2}/gi) ?? [])
    .map((digits) => Number.parseInt(digits, 16) / 255)
    .map((part) =>
      part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
    );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort(
    (first, second) => first - second,
  );
  return (light + 0.05) / (dark + 0.05);
}
