/** What a stand-in plugin knows of one type of resource. */

import type { Misfit, Shape } from "./shapes.ts";
import type { Properties, Value } from "./values.ts";

/** One type of resource of a cloud. */
export interface ResourceKind<Cloud> {
  readonly shape: Shape;
  /** Inputs with a value when they are left out. */
  readonly defaults?: Properties;
  /** The input that Pulumi makes up when it is left out. */
  readonly nameProperty?: string;
  /** Inputs that can change in place; every other one calls for a new resource. */
  readonly updatable: ReadonlySet<string>;
  /** Inputs that the cloud decides when they are left out. */
  readonly computed: ReadonlySet<string>;
  /** Outputs besides the inputs. */
  readonly outputs: readonly string[];
  /** Inputs that cannot be read back. */
  readonly unread?: ReadonlySet<string>;
  /** When two values of an input mean the same; where it is not plain equality. */
  readonly same?: Readonly<
    Record<string, (old: Value, wanted: Value) => boolean>
  >;
  /** Properties that the provider changes by itself when their time has come. */
  due?(cloud: Cloud, olds: Properties): readonly string[];
  /** What is wrong with inputs that have the right shape. Values may be unknown yet. */
  check?(inputs: Properties): readonly Misfit[];
  create(
    cloud: Cloud,
    inputs: Properties,
  ): Promise<{ readonly id: string; readonly outputs: Properties }>;
  /**
   * Looks at it.
   *
   * @param known its last outputs; empty for an import
   * @returns all inputs that it can tell and all outputs, or `undefined` when it is gone
   */
  read(
    cloud: Cloud,
    id: string,
    known: Properties,
  ): Promise<Properties | undefined>;
  update(
    cloud: Cloud,
    id: string,
    olds: Properties,
    news: Properties,
  ): Promise<Properties>;
  /** Removes it; what is gone already is no error. */
  delete(cloud: Cloud, id: string, outputs: Properties): Promise<void>;
}
