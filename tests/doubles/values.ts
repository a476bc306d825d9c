/** Property values as they travel between the engine and a provider plugin. */

/** Anything that a property may hold. */
export type Value =
  | null
  | boolean
  | number
  | string
  | readonly Value[]
  | Properties;

/** Names to values. */
export interface Properties {
  readonly [name: string]: Value | undefined;
}

/** What the engine sends, and understands, for a text, number or anything else that only the real run will know. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Marks an object that is more than an object. */
const signatureKey = "4dabf18193072939515e22adb298388d";

/** The mark of a secret; the value is beside it. */
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

export function isObject(value: Value | undefined): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

/** A value without the marks of secrets, at any depth. */
export function revealed(value: Value): Value {
  if (isList(value)) return value.map(revealed);
  if (!isObject(value)) return value;
  if (value[signatureKey] === secretSignature) {
    return revealed(value.value ?? null);
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      revealed(inner ?? null),
    ]),
  );
}

/** Whether a value is, or holds somewhere, something that only the real run will know. */
export function hasUnknown(value: Value | undefined): boolean {
  if (isList(value)) return value.some(hasUnknown);
  if (isObject(value)) return Object.values(value).some(hasUnknown);
  return value === unknown;
}

/** Providers of Terraform's making treat these like a value that is not there. */
export function isEmpty(value: Value | undefined): boolean {
  return (
    value === undefined ||
    value === null ||
    value === "" ||
    value === false ||
    (isList(value) && value.length === 0) ||
    (isObject(value) && Object.keys(value).length === 0)
  );
}
