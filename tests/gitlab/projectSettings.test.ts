import { expect, test } from "vitest";
import { declaredSettings } from "../../infra/gitlab/projectSettings.ts";

const unguarded = { ciForwardDeploymentEnabled: false } as const;

test("deployments come in order where GitLab drops none that is late", () => {
  const modeOf = (
    settings: Parameters<typeof declaredSettings>[0]["settings"],
  ) =>
    declaredSettings({ path: "images", settings }, 42).args
      .resourceGroupDefaultProcessMode;
  expect(modeOf(unguarded)).toBe("oldest_first");
  expect(modeOf({})).toBeUndefined();
  expect(
    modeOf({ ...unguarded, resourceGroupDefaultProcessMode: "unordered" }),
  ).toBe("unordered");
});

test("an adopted project keeps its order unless it is named", () => {
  const own = declaredSettings({ path: undefined, settings: unguarded }, 42);
  expect(own.args).toEqual(unguarded);
  expect(own.ignored).toContain("resourceGroupDefaultProcessMode");
  const settings = { resourceGroupDefaultProcessMode: "newest_first" } as const;
  const named = declaredSettings({ path: undefined, settings }, 42);
  expect(named.args).toEqual(settings);
  expect(named.ignored).not.toContain("resourceGroupDefaultProcessMode");
});
