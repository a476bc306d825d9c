/** Values that remember where they were written, through inheritance. Pure. */

/** Where a value stands, for people: `image-definitions/debian.yaml:12`. */
export type Place = string;

/** A step into an object or a list. */
export type Step = string | number;

/** An object of a definition file. */
export interface Traced {
  readonly value: Readonly<Record<string, unknown>>;
  /** Where the object itself begins. */
  readonly place: Place;
  /**
   * Field to its place, for every field that holds no object: `disk.sizeGiB`. Elements of a list that grows
   * by inheritance each have a place of their own: `classes[0]`.
   */
  readonly places: ReadonlyMap<string, Place>;
}

/** Lists of that name grow by inheritance; every other value is replaced. */
const growingList = "classes";

/** Objects of that name are one of several kinds: one is replaced as a whole, too. */
const wholeObject = "freshness";

/**
 * Notes where each field of an object stands.
 *
 * @param placeOf the place of a value by the steps that lead to it from the object
 */
export function traced(
  value: Traced["value"],
  placeOf: (steps: readonly Step[]) => Place,
): Traced {
  const places = new Map<string, Place>();
  const visit = (part: unknown, steps: readonly Step[]): void => {
    if (isObject(part)) {
      for (const [name, inner] of Object.entries(part)) {
        visit(inner, [...steps, name]);
      }
    } else if (Array.isArray(part) && steps.at(-1) === growingList) {
      part.forEach((_, index) => {
        places.set(fieldName([...steps, index]), placeOf([...steps, index]));
      });
    } else {
      places.set(fieldName(steps), placeOf(steps));
    }
  };
  visit(value, []);
  return { value, place: placeOf([]), places };
}

/**
 * An object with everything that it does not say itself taken from its parent: objects field by field; lists of
 * classes are the parent's, then its own.
 */
export function inherit(parent: Traced, child: Traced): Traced {
  const places = new Map(parent.places);
  const value = merge(parent.value, child.value, []);
  return { value, place: child.place, places };

  function merge(
    base: Traced["value"],
    own: Traced["value"],
    steps: readonly Step[],
  ): Traced["value"] {
    const merged: Record<string, unknown> = { ...base };
    for (const [name, part] of Object.entries(own)) {
      merged[name] = mergePart(base[name], part, [...steps, name]);
    }
    return merged;
  }

  function mergePart(
    base: unknown,
    own: unknown,
    steps: readonly Step[],
  ): unknown {
    const isWhole = steps.at(-1) === wholeObject;
    if (isObject(own) && isObject(base) && !isWhole) {
      return merge(base, own, steps);
    }
    if (Array.isArray(own) && steps.at(-1) === growingList) {
      const before = Array.isArray(base) ? base : [];
      own.forEach((_, index) => {
        const place = child.places.get(fieldName([...steps, index]));
        places.set(
          fieldName([...steps, before.length + index]),
          place ?? child.place,
        );
      });
      return [...before, ...own];
    }
    const field = fieldName(steps);
    for (const [name, place] of child.places) {
      if (name === field || name.startsWith(`${field}.`))
        places.set(name, place);
    }
    return own;
  }
}

/** How a field is written: `bootCheck.firmware`, `classes[0]`. */
export function fieldName(steps: readonly Step[]): string {
  return steps
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
    .join("")
    .replace(/^\./, "");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
