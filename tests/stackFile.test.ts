import { expect, test } from "vitest";
import { fieldsInClear } from "../infra/stackFile.ts";

const fields = ["token", "image.variables[1].value", "image.webhooks.chat.url"];
const encrypted = { secure: "v1:abc" };

test("each secret is encrypted by itself, or with what it is in", () => {
  const variables = [{ value: "clear" }, { value: encrypted }];
  const webhooks = { chat: { url: encrypted } };
  expect(
    fieldsInClear({ token: encrypted, image: { variables, webhooks } }, fields),
  ).toEqual([]);
  expect(fieldsInClear({ token: encrypted, image: encrypted }, fields)).toEqual(
    [],
  );
  expect(fieldsInClear(encrypted, fields)).toEqual([]);
});

test("one that is encrypted hides no other", () => {
  const variables = [{ value: encrypted }, { value: "clear" }];
  const webhooks = { chat: { url: "https://chat.example/", token: encrypted } };
  expect(
    fieldsInClear({ token: encrypted, image: { variables, webhooks } }, fields),
  ).toEqual(["image.variables[1].value", "image.webhooks.chat.url"]);
});

test("a section that is a text is not encrypted", () => {
  expect(fieldsInClear('{"token":"glpat-x"}', ["token"])).toEqual(["token"]);
});

test("a section that is not in the file says nothing", () => {
  expect(fieldsInClear(undefined, fields)).toEqual([]);
});
