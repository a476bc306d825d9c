import { expect, test } from "vitest";
import { parseConfig, parseGitlabConfig } from "../../infra/config.ts";
import { secretFields } from "../../infra/gitlabProgram.ts";

const image = { path: "images" };
const least = { group: 42, image };

function parse(gitlab: unknown) {
  return parseGitlabConfig("mine", {
    "cloud-images:gitlab": JSON.stringify(gitlab),
  })?.gitlab;
}

/** With something in the image project. */
const inImage = (changes: object) => ({
  ...least,
  image: { ...image, ...changes },
});

const secret = "hunter2 is no password";

test("what is left out is filled in", () => {
  const config = parse(least);
  expect(config?.url).toBe("https://gitlab.com");
  expect(config?.image.schedules).toEqual({
    daily: {
      ...{ cron: "14 14 * * *", timezone: "UTC", active: true, variables: {} },
    },
    weekly: {
      ...{ cron: "14 2 * * 6", timezone: "UTC", active: true, variables: {} },
    },
    drift: {
      ...{ cron: "30 5 * * *", timezone: "UTC", active: true, variables: {} },
    },
  });
});

test("the release project builds nothing by itself", () => {
  const config = parse({ ...least, release: { adopt: 60 } });
  expect(config?.release?.schedules).toEqual({});
});

test("nobody may set variables where there are no schedules", () => {
  const settings = { ciPipelineVariablesMinimumOverrideRole: "no_one_allowed" };
  const config = parse(inImage({ settings, schedules: {} }));
  expect(config?.image.settings).toEqual(settings);
});

test("a variable is protected, and everything in it means itself", () => {
  const variables = [{ key: "A", value: "$b" }];
  expect(parse(inImage({ variables }))?.image.variables).toEqual([
    {
      ...{ key: "A", value: "$b", environment: "*", protected: true },
      ...{ masked: false, hidden: false, raw: true, file: false },
    },
  ]);
});

test("GitLab may stand beside images, and alone", () => {
  const values = {
    "cloud-images:gitlab": JSON.stringify(least),
    "cloud-images:definitions": '["debian-13-tiny-amd64"]',
    "cloud-images:store": '{"directory":"store"}',
    "cloud-images:directory": '{"path":"public"}',
  };
  expect(parseGitlabConfig("mine", values)).toBeUndefined();
  expect(parseConfig("mine", values).gitlab?.group).toBe(42);
});

test.each<[string, unknown, RegExp]>([
  ["no image project", { group: 42 }, /gitlab\.image: /],
  [
    "a project without a name",
    { image: {} },
    /gitlab\.image\.path: is missing/,
  ],
  [
    "a project that is new and there",
    inImage({ adopt: 60 }),
    /gitlab\.image\.adopt: /,
  ],
  ["a project without a group", { image }, /gitlab\.group: is missing/],
  ["a name that GitLab keeps", inImage({ path: "x.git" }), /image\.path: /],
  [
    "a cron that never fires",
    inImage({ schedules: { daily: { cron: "10 34 * * *" } } }),
    /^Pulumi\.mine\.yaml: cloud-images:gitlab\.image\.schedules\.daily\.cron: can never fire/,
  ],
  [
    "a cron that always fires",
    inImage({ schedules: { daily: { cron: "* * * * *" } } }),
    /schedules\.daily\.cron: would start a pipeline every minute/,
  ],
  [
    "a zone that is none",
    inImage({
      schedules: { daily: { cron: "1 1 * * *", timezone: "Mars/Base" } },
    }),
    /schedules\.daily\.timezone: is no time zone/,
  ],
  [
    "a project with schedules in which nobody may set their variables",
    inImage({
      settings: { ciPipelineVariablesMinimumOverrideRole: "no_one_allowed" },
    }),
    /image\.settings\.ciPipelineVariablesMinimumOverrideRole: lets nobody set variables.*say maintainer/,
  ],
  [
    "an order of deployments that GitLab has not",
    inImage({ settings: { resourceGroupDefaultProcessMode: "newest" } }),
    /image\.settings\.resourceGroupDefaultProcessMode: .*"newest_ready_first"/,
  ],
  [
    "an adopted one as well",
    {
      ...least,
      release: {
        adopt: 60,
        settings: { ciPipelineVariablesMinimumOverrideRole: "no_one_allowed" },
        schedules: { weekly: { cron: "1 1 * * 6" } },
      },
    },
    /release\.settings\.ciPipelineVariablesMinimumOverrideRole: .*the schedule weekly/,
  ],
  [
    "a short masked value",
    inImage({ variables: [{ key: "A", value: "short", masked: true }] }),
    /image\.variables\[0\]\.value: cannot be masked/,
  ],
  [
    "a masked value with spaces",
    inImage({ variables: [{ key: "A", value: secret, masked: true }] }),
    /image\.variables\[0\]\.value: cannot be masked/,
  ],
  [
    "a masked value with what is expanded",
    inImage({
      variables: [{ key: "A", value: "a$bcdefgh", masked: true, raw: false }],
    }),
    /image\.variables\[0\]\.value: .*raw/,
  ],
  [
    "a value that is hidden and not masked",
    inImage({ variables: [{ key: "A", value: secret, hidden: true }] }),
    /image\.variables\[0\]\.masked: must be true where hidden is/,
  ],
  [
    "a value that is too long",
    inImage({ variables: [{ key: "A", value: "a".repeat(10_001) }] }),
    /image\.variables\[0\]\.value: must have 10000/,
  ],
  [
    "a key that is none",
    inImage({ variables: [{ key: "A-B", value: "" }] }),
    /image\.variables\[0\]\.key: /,
  ],
  [
    "a key that is there twice",
    inImage({
      variables: [
        { key: "A", value: "1" },
        { key: "A", value: "2", environment: "production" },
        { key: "A", value: "3" },
      ],
    }),
    /image\.variables\[2\]\.key: is there twice for all environments/,
  ],
  [
    "an approver who is nobody",
    inImage({ environments: { production: { approve: [{}] } } }),
    /environments\.production\.approve\[0\]: must have one of/,
  ],
  [
    "a user who approves twice",
    inImage({
      environments: { production: { approve: [{ user: 7, approvals: 2 }] } },
    }),
    /environments\.production\.approve\[0\]\.approvals: /,
  ],
  [
    "a rule for a branch that nothing protects",
    inImage({ approvalRules: { team: { approvals: 1, branches: ["main"] } } }),
    /approvalRules\.team\.branches\[0\]: must be one of protectedBranches/,
  ],
  [
    "a webhook with a password in its address",
    inImage({
      webhooks: { chat: { url: "https://a:b@c.example/", events: ["push"] } },
    }),
    /webhooks\.chat\.url: must have no user name/,
  ],
  [
    "jobs of a release project that there is not",
    inImage({ jobTokens: { projects: ["release"] } }),
    /image\.jobTokens\.projects\[0\]: names the release project/,
  ],
  [
    "a token that is always made anew",
    { ...least, noteToken: { days: 30, renewDays: 30 } },
    /noteToken\.renewDays: must be less than days/,
  ],
  [
    "a token that GitLab would not make",
    { ...least, noteToken: { days: 400 } },
    /noteToken\.days: /,
  ],
  [
    "a variable that comes with the token for notes",
    {
      ...least,
      release: {
        path: "releases",
        variables: [{ key: "CLOUD_IMAGES_IMAGE_PROJECT", value: "1" }],
      },
      noteToken: { in: "release" },
    },
    /release\.variables\[0\]\.key: is declared with noteToken/,
  ],
  [
    "a webhook with the name of that which comes with the token for notes",
    {
      ...inImage({
        webhooks: { notes: { url: "https://c.example/", events: ["push"] } },
      }),
      release: { path: "releases" },
      noteToken: { in: "release" },
    },
    /image\.webhooks\.notes: is the name of the webhook/,
  ],
  [
    "a runner without tags",
    { ...least, runners: { big: { tags: [], protected: true } } },
    /runners\.big\.tags: /,
  ],
  [
    "a runner of nobody",
    {
      image: { adopt: 60 },
      runners: { big: { tags: ["kvm"], protected: false } },
    },
    /runners\.big\.project: is missing, and so is gitlab\.group/,
  ],
  [
    "a protected runner of the whole group",
    { ...least, runners: { big: { tags: ["kvm"], protected: true } } },
    /runners\.big\.project: is missing: .*Say image or release/,
  ],
  [
    "a field that does not exist",
    { ...least, x: 1 },
    /gitlab\.x: no such field/,
  ],
])("%s is refused, and no value is told", (_case, gitlab, message) => {
  let told = "";
  try {
    parse(gitlab);
  } catch (error) {
    told = (error as Error).message;
  }
  expect(told).toMatch(message);
  expect(told).not.toContain(secret);
});

test("secrets are known by their fields", () => {
  const config = parse({
    ...least,
    token: "glpat-x",
    image: {
      ...image,
      variables: [
        { key: "A", value: "clear" },
        { key: "B", value: "masked-value", masked: true },
      ],
      webhooks: {
        chat: { url: "https://a.example/", token: "t", events: ["push"] },
      },
    },
  });
  expect(config && secretFields(config)).toEqual([
    "token",
    "image.variables[1].value",
    "image.webhooks.chat.url",
    "image.webhooks.chat.token",
  ]);
});
