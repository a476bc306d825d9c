/** What a resource's inputs are called and look like, read from the type declarations of its Pulumi package. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  isList,
  isObject,
  type Properties,
  unknown,
  type Value,
} from "./values.ts";

/** One input of a shape. */
interface Field {
  readonly required: boolean;
  /** The forms that its value may have, as TypeScript without Pulumi's wrappers: `string`, `inputs.ec2.Name[]`. */
  readonly forms: readonly string[];
}

/** The fields of an object, by name. */
export type Shape = ReadonlyMap<string, Field>;

/** A value that its declaration does not allow. */
export interface Misfit {
  /** Path to it, such as `ebsBlockDevices[0].size`. */
  readonly property: string;
  readonly reason: string;
}

/** The declarations of one Pulumi package. */
export class DeclaredShapes {
  readonly #directory: string;
  readonly #nested = new Map<string, Shape>();
  #types: string | undefined;

  /** @param directory of the installed package */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * The inputs of a resource.
   *
   * @param module its file, such as `ec2/ami`
   * @param name its class
   */
  ofResource(module: string, name: string): Shape {
    const text = readFileSync(join(this.#directory, `${module}.d.ts`), "utf8");
    return fieldsOf(interfaceText(text, `${name}Args`));
  }

  /** Everything about some inputs that contradicts their shape. */
  misfits(shape: Shape, inputs: Properties, path = ""): Misfit[] {
    const found: Misfit[] = [];
    for (const [name, field] of shape) {
      if (field.required && (inputs[name] ?? undefined) === undefined) {
        found.push({
          property: path + name,
          reason: "Missing required argument",
        });
      }
    }
    for (const [name, value] of Object.entries(inputs)) {
      if (value === undefined || value === null) continue;
      const field = shape.get(name);
      if (field === undefined) {
        found.push({
          property: path + name,
          reason: "Invalid or unknown key",
        });
        continue;
      }
      found.push(...this.#misfitsOfValue(field.forms, value, path + name));
    }
    return found;
  }

  #misfitsOfValue(
    forms: readonly string[],
    value: Value,
    path: string,
  ): Misfit[] {
    if (value === unknown) return [];
    const wrong = [
      { property: path, reason: `expected ${forms.join(" or ")}` },
    ];
    let fewest: Misfit[] = wrong;
    for (const form of forms) {
      const found = this.#misfitsOfForm(form, value, path);
      if (found === undefined) continue;
      if (found.length === 0) return [];
      fewest = found;
    }
    return fewest;
  }

  /** `undefined` when the value is of another kind altogether. */
  #misfitsOfForm(
    form: string,
    value: Value,
    path: string,
  ): Misfit[] | undefined {
    if (form.endsWith("[]")) {
      if (!isList(value)) return undefined;
      return value.flatMap((item, index) =>
        this.#misfitsOfValue([form.slice(0, -2)], item, `${path}[${index}]`),
      );
    }
    if (form.startsWith("{")) {
      if (!isObject(value)) return undefined;
      return Object.entries(value).flatMap(([key, item]) =>
        this.#misfitsOfValue(["string"], item ?? null, `${path}.${key}`),
      );
    }
    if (form.startsWith("inputs.")) {
      if (!isObject(value)) return undefined;
      return this.misfits(this.#nestedShape(form), value, `${path}.`);
    }
    const kind = form === "boolean" || form === "number" ? form : "string";
    return typeof value === kind ? [] : undefined;
  }

  /** @param form such as `inputs.ec2.AmiEbsBlockDevice` */
  #nestedShape(form: string): Shape {
    const known = this.#nested.get(form);
    if (known !== undefined) return known;
    this.#types ??= readFileSync(
      join(this.#directory, "types/input.d.ts"),
      "utf8",
    );
    const names = form.split(".").slice(1);
    const name = names.pop() as string;
    let from = 0;
    for (const namespace of names) {
      from = this.#types.indexOf(`namespace ${namespace} {`, from);
    }
    const shape = fieldsOf(interfaceText(this.#types, name, from));
    this.#nested.set(form, shape);
    return shape;
  }
}

/** The lines between the braces of an interface. */
function interfaceText(text: string, name: string, from = 0): string {
  const start = text.indexOf(`interface ${name} {`, from);
  if (start < 0) throw new Error(`The declarations have no ${name}.`);
  const indent = /[ \t]*(export )?$/.exec(text.slice(0, start))?.[0] ?? "";
  const end = text.indexOf(`\n${indent.replace("export ", "")}}`, start);
  return text.slice(text.indexOf("{", start) + 1, end);
}

function fieldsOf(text: string): Shape {
  const code = text.replaceAll(/\/\*\*[\s\S]*?\*\//g, "");
  const fields = new Map<string, Field>();
  for (const [, name, optional, type] of code.matchAll(
    /^\s*(\w+)(\??): (pulumi\.Input<[\s\S]*?);$/gm,
  )) {
    fields.set(name as string, {
      required: optional === "",
      forms: formsOf(type as string),
    });
  }
  return fields;
}

function formsOf(type: string): readonly string[] {
  const bare = type
    .replaceAll("pulumi.Input<", "")
    .replaceAll(">", "")
    .replaceAll(/\s+/g, " ");
  return bare
    .split("|")
    .map((form) => form.trim())
    .filter((form) => form !== "undefined" && form !== "");
}
