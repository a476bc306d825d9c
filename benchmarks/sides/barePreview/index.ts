/**
 * What the engine and the SDK cost alone: resources of the same number and parents as images have, with nothing behind them;
 * and, where the configuration has a shape, with the properties and dependencies of images.
 */

import * as pulumi from "@pulumi/pulumi";
import { ModuleResource } from "../../../infra/dynamic/provider.ts";
import {
  leaveOutSdkDebugging,
  leaveOutTraces,
} from "../../../infra/sdkDebugging.ts";

leaveOutSdkDebugging();

/** The least that the engine takes for a dynamic provider. */
const leastProvider = "exports.handler = () => ({});";

const config = new pulumi.Config();
const { images, children } = config.requireObject<{
  readonly images: number;
  readonly children: number;
}>("size");
/** Properties of the resources of an image, by its last name: those that images of ours have. */
const shape =
  config.getObject<
    Readonly<Record<"image" | "format" | "check" | "publication", object>>
  >("shape");

class EmptyPart extends pulumi.CustomResource {
  constructor(name: string, parent: pulumi.Resource) {
    using _ = leaveOutTraces();
    const properties = { __provider: leastProvider };
    super("pulumi-nodejs:dynamic/bare:Empty", name, properties, { parent });
  }
}

/** Nothing is called of the module that it names: a preview of new resources has nothing to compare. */
class ShapedPart extends ModuleResource {
  declare readonly rawSha256: pulumi.Output<string>;

  constructor(
    name: string,
    properties: pulumi.Inputs,
    options: pulumi.CustomResourceOptions,
  ) {
    const outputs = ["version", "rawSha256", "failures", "problems"];
    const type = ["bare", "Shaped"] as const;
    super("image/bare.ts", name, properties, outputs, options, type);
  }
}

for (let index = 0; index < images; index++) {
  const name = `image${index}`;
  const parent = new pulumi.ComponentResource("bare:x:Image", name);
  if (shape === undefined) declareEmptyParts(name, parent);
  else declareShapedParts(name, parent, shape);
}

function declareEmptyParts(name: string, parent: pulumi.Resource): void {
  for (let child = 0; child < children; child++) {
    new EmptyPart(`${name}-${child}`, parent);
  }
}

/** An image, two formats and two checks that need it, and a publication that needs all of them. */
function declareShapedParts(
  name: string,
  parent: pulumi.Resource,
  { image: given, format, check, publication }: NonNullable<typeof shape>,
): void {
  const image = new ShapedPart(`${name}-image`, { ...given }, { parent });
  const { rawSha256 } = image;
  const parts = [format, format, check, check].map(
    (properties, index) =>
      new ShapedPart(
        `${name}-${index}`,
        { ...properties, rawSha256 },
        { parent },
      ),
  );
  new ShapedPart(
    `${name}-publication`,
    { ...publication, rawSha256 },
    { parent, dependsOn: parts },
  );
}
