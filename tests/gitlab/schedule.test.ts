import { expect, test } from "vitest";
import { scheduleProblem } from "../../infra/gitlab/schedule.ts";

const daily = { cron: "14 14 * * *", timezone: "UTC" };

test.each([
  "14 14 * * *",
  "14 2 * * 6",
  "0 */5 * * *",
  "30 * * * *",
  "0 0 29 2 *",
  "0 6 * jan-mar MON-FRI",
  "0 0 1,15 * *",
  "0 0 30 2 1",
])("the schedule %j is taken", (cron) => {
  expect(scheduleProblem({ ...daily, cron })).toBeUndefined();
});

test.each([
  ["10 34 * * *", /can never fire \(Invalid value for hour: 34\)/],
  ["0 0 30 2 *", /can never fire: no month/],
  ["0 0 31 4,6,9,11 *", /can never fire: no month/],
  ["0 0 * * 8", /can never fire/],
  ["0 22-2 * * *", /can never fire/],
  ["* * * * *", /every minute, .*once an hour/],
  ["*/7 * * * *", /every 4 minutes/],
  ["0,30 14 * * *", /every 30 minutes/],
  ["0,1 0 1 1 *", /every minute/],
  ["* 14 * * *", /every minute/],
  ["14 14 * *", /must be five fields/],
  ["0 14 14 * * *", /must be five fields/],
  ["@daily", /must be five fields/],
  ["0 0 L * *", /must be five fields/],
  ["0 0 15W * *", /must be five fields/],
  ["0 0 * * 1#2", /must be five fields/],
  ["14  14 * * *", /must be five fields/],
  ["14 14 * * * Europe/Berlin", /must be five fields/],
  ["", /must be five fields/],
])("the schedule %j is refused", (cron, message) => {
  expect(scheduleProblem({ ...daily, cron })).toEqual({
    field: "cron",
    message: expect.stringMatching(message),
  });
});

test.each([
  "UTC",
  "Europe/Berlin",
  "Europe/Kyiv",
  "Asia/Kolkata",
  "America/Argentina/Ushuaia",
  "America/Port-au-Prince",
  "Antarctica/DumontDUrville",
  "Etc/UTC",
  "Etc/GMT+1",
])("the time zone %j is taken", (timezone) => {
  expect(scheduleProblem({ ...daily, timezone })).toBeUndefined();
});

test.each([
  "Europe/Berln",
  "europe/berlin",
  "utc",
  "+01:00",
  "Pacific Time (US & Canada)",
  // What only Intl knows, or by another name than the database's.
  "PST",
  "CST",
  "IST",
  "ACT",
  "AET",
  "SystemV/PST8",
  "EST5EDT",
  "US/Pacific",
  "Etc/Unknown",
  "Berlin",
  "",
])("the time zone %j is refused", (timezone) => {
  expect(scheduleProblem({ ...daily, timezone })).toEqual({
    field: "timezone",
    message: expect.stringContaining("such as UTC or Europe/Berlin"),
  });
});
