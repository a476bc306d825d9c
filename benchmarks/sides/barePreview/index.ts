/** What the engine and the SDK cost alone: resources of the same number and parents as images have, and without content. */

import * as pulumi from "@pulumi/pulumi";

Reflect.deleteProperty(Error, "prepareStackTrace");

/** The least that the engine takes for a dynamic provider. */
const provider = "exports.handler = () => ({});";

const { images, children } = new pulumi.Config().requireObject<{
  readonly images: number;
  readonly children: number;
}>("size");

class Part extends pulumi.CustomResource {}

for (let image = 0; image < images; image++) {
  const parent = new pulumi.ComponentResource("bare:x:Image", `image${image}`);
  for (let child = 0; child < children; child++) {
    new Part(
      "pulumi-nodejs:dynamic/bare:Part",
      `image${image}-${child}`,
      { __provider: provider },
      { parent },
    );
  }
}
