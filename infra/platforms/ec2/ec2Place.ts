/** Regions and accounts of EC2 as places of a stack. */

import type { Provider } from "@pulumi/aws/provider.js";
import { Parameter } from "@pulumi/aws/ssm/parameter.js";
import * as pulumi from "@pulumi/pulumi";
import { awsProvider } from "../../aws/provider.ts";
import { isNamedBy } from "../../definitions/namePattern.ts";
import { whenGood } from "../goodImages.ts";
import type { Place, PublishableImage } from "../platform.ts";
import { hasMachines, parameterName } from "./ami.ts";
import { accessOf, type Ec2Config, type Ec2Target } from "./ec2Config.ts";
import { Ec2Publication } from "./ec2Publication.ts";
import { publicAmisWarning } from "./publicAmis.ts";

/** What is known of an image in a place before its resources are. */
type ImageIds = Map<string, pulumi.Output<string | undefined>>;

/** All targets; those that copy from another one come after it. */
export function ec2Places(config: Ec2Config): readonly Place[] {
  const imageIds: ImageIds = new Map();
  return Object.entries(config.targets)
    .toSorted(([, one], [, other]) => depth(one) - depth(other))
    .map(([name, target]) => ec2Place(name, target, config, imageIds));
}

function depth({ copyFrom }: Ec2Target): number {
  return copyFrom === undefined ? 0 : 1;
}

function ec2Place(
  name: string,
  target: Ec2Target,
  config: Ec2Config,
  imageIds: ImageIds,
): Place {
  let known: Provider | undefined;
  const provider = () => {
    known ??= awsProvider(`ec2-${name}`, accessOf(target));
    return known;
  };
  const idOf = (place: string, { label }: PublishableImage) =>
    `${place}/${label}`;

  return {
    platform: "ec2",
    place: name,
    formats: [],
    formatsField: `cloud-images:ec2.targets.${name}`,
    takes: ({ name, architecture }) =>
      hasMachines(architecture) &&
      config.definitions.some((pattern) => isNamedBy(pattern, name)),

    warning: (versions) => publicAmisWarning(name, target, versions),

    publish(image) {
      const published = whenGood(image, () => {
        const { imageId, amiName, end } = new Ec2Publication(
          {
            ...{ image, place: name, target, config, provider: provider() },
            ...sourceOf(image),
          },
          { parent: image.parent },
        );
        return pulumi.output({ imageId, amiName, end });
      });
      imageIds.set(
        idOf(name, image),
        published.apply((found) => found?.imageId),
      );
      return {
        end: published,
        lines: published.apply((found) =>
          found === undefined
            ? []
            : [
                `  AMI:      ${found.imageId} (${found.amiName}) in ${target.region}, ${name}`,
              ],
        ),
      };
    },

    point(image, _publication, older) {
      const { parameters } = config;
      if (parameters === undefined) return pulumi.output(undefined);
      const declare = () => {
        const imageId = imageIds
          .get(idOf(name, image))
          ?.apply((imageId) => imageId ?? older?.names?.imageId);
        const { version } = new Parameter(
          `${image.definition.name}-ec2-${name}-latest`,
          {
            name: parameterName(parameters, image.definition, image.channel),
            description: `The newest AMI of ${image.definition.name}, ${image.channel}`,
            type: "String",
            // Systems Manager takes it only if there is such an AMI.
            dataType: "aws:ec2:image",
            // An AMI's id is no secret, and a preview shows it.
            insecureValue: imageId as pulumi.Output<string>,
          },
          { provider: provider() },
        );
        return version;
      };
      // Without any AMI there is nothing to name.
      return older === undefined ? whenGood(image, declare) : declare();
    },
  };

  function sourceOf(image: PublishableImage) {
    const { copyFrom } = target;
    const source =
      copyFrom === undefined ? undefined : config.targets[copyFrom];
    if (copyFrom === undefined || source === undefined) return {};
    const imageId =
      imageIds.get(idOf(copyFrom, image)) ??
      // Of an older version that the source has given up already.
      pulumi.output(image.record?.names?.sourceImageId);
    return {
      source: {
        imageId: imageId as pulumi.Output<string>,
        region: source.region,
      },
    };
  }
}
