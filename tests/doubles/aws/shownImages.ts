/**
 * A rule for the proxy before moto: every client, not just Pulumi, sees the AMIs that the stand-in registered with all
 * that they were registered with; moto's invented snapshots are not there, and the real ones are in use.
 */

import {
  type ApiAnswer,
  type ApiCall,
  apiError,
  type Forward,
  isCall,
  type ProxyRule,
} from "../../servers/awsProxy.ts";
import { isList, isObject, type Value } from "../values.ts";
import { type KeptImage, keptImage, keptImageIds } from "./cloud.ts";

/** Begins the description of a snapshot that moto made for an AMI out of nothing. */
export const inventedDescription = "Auto-created snapshot for AMI";

/** Names of the API for what is kept, where they are texts. */
const elements: Readonly<Record<string, string>> = {
  architecture: "architecture",
  bootMode: "bootMode",
  deprecationTime: "deprecationTime",
  description: "description",
  enaSupport: "enaSupport",
  imdsSupport: "imdsSupport",
  rootDeviceName: "rootDeviceName",
  sriovNetSupport: "sriovNetSupport",
  tpmSupport: "tpmSupport",
  virtualizationType: "virtualizationType",
};

/** The rule. It belongs before {@link StrictEbs}. */
export class ShownImages implements ProxyRule {
  readonly #directory: string;

  /** @param directory the one that the stand-in is given by its variable */
  constructor(directory: string) {
    this.#directory = directory;
  }

  matches(call: ApiCall): boolean {
    return isCall(
      "ec2",
      ...["DescribeImages", "DescribeSnapshots", "DeleteSnapshot"],
      "DescribeImageAttribute",
    )(call);
  }

  async act(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    if (call.action === "DeleteSnapshot") return this.#delete(call, forward);
    const answer = await forward(call);
    if (call.action === "DescribeImageAttribute") {
      return isOfNoImage(answer)
        ? apiError(
            call,
            400,
            "InvalidAMIID.Unavailable",
            "The image ID is no longer available",
          )
        : answer;
    }
    if (answer === "cut" || answer.status !== 200) return answer;
    const text = answer.body.toString();
    const shown =
      call.action === "DescribeImages"
        ? await mapItems(text, "imagesSet", (item) => this.#image(item))
        : await mapItems(text, "snapshotSet", async (item) =>
            item.includes(`<description>${inventedDescription}`) ? "" : item,
          );
    return { ...answer, body: Buffer.from(shown) };
  }

  async #image(item: string): Promise<string> {
    const id = /<imageId>(.*?)<\/imageId>/.exec(item)?.[1] ?? "";
    const kept = await keptImage(id, this.#directory);
    if (Object.keys(kept).length === 0) return item;
    return Object.entries(apiElements(kept)).reduce(
      (text, [name, content]) =>
        `${without(text, name)}<${name}>${content}</${name}>`,
      item,
    );
  }

  /** EC2 keeps snapshots as long as an AMI uses them. */
  async #delete(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const snapshot = call.parameters.get("SnapshotId") ?? "";
    for (const id of await keptImageIds(this.#directory)) {
      const kept = await keptImage(id, this.#directory);
      const isItsOwn = devicesOf(kept).some(
        (device) => device.snapshotId === snapshot,
      );
      if (isItsOwn && (await this.#exists(id, call, forward))) {
        return apiError(
          call,
          400,
          "InvalidSnapshot.InUse",
          `The snapshot ${snapshot} is currently in use by ${id}`,
        );
      }
    }
    return forward(call);
  }

  async #exists(id: string, call: ApiCall, forward: Forward): Promise<boolean> {
    const parameters = new URLSearchParams({
      Action: "DescribeImages",
      Version: call.parameters.get("Version") ?? "2016-11-15",
      "ImageId.1": id,
    });
    const body = Buffer.from(parameters.toString());
    const action = "DescribeImages";
    const answer = await forward({ ...call, action, parameters, body });
    return answer !== "cut" && answer.body.includes(`<imageId>${id}<`);
  }
}

function devicesOf({ ebsBlockDevices }: KeptImage) {
  return isList(ebsBlockDevices) ? ebsBlockDevices.filter(isObject) : [];
}

function apiElements(kept: KeptImage): Readonly<Record<string, string>> {
  const texts = Object.entries(elements).flatMap(([input, name]) => {
    const value = kept[input];
    return value === undefined || value === null
      ? []
      : [[name, escaped(value)]];
  });
  const mappings = devicesOf(kept).map(
    ({ deviceName, snapshotId, volumeSize, ...rest }) =>
      `<item><deviceName>${escaped(deviceName ?? "")}</deviceName><ebs>` +
      `<snapshotId>${escaped(snapshotId ?? "")}</snapshotId><volumeSize>${volumeSize}</volumeSize>` +
      `<deleteOnTermination>${rest.deleteOnTermination !== false}</deleteOnTermination>` +
      `<volumeType>${escaped(rest.volumeType ?? "standard")}</volumeType>` +
      `<encrypted>${rest.encrypted === true}</encrypted></ebs></item>`,
  );
  return {
    ...Object.fromEntries(texts),
    blockDeviceMapping: mappings.join(""),
    rootDeviceType: "ebs",
  };
}

function escaped(value: Value): string {
  return String(value)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}

function without(text: string, name: string): string {
  return text.replace(
    new RegExp(`<${name}>[\\s\\S]*?</${name}>|<${name}\\s*/>`),
    "",
  );
}

/** An answer with each item of a set made anew, or taken out. Items hold sets of items themselves. */
async function mapItems(
  text: string,
  set: string,
  change: (content: string) => Promise<string>,
): Promise<string> {
  const start = text.indexOf(`<${set}>`) + set.length + 2;
  const end = text.indexOf(`</${set}>`);
  if (end < 0) return text;
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (const { 0: tag, index } of text
    .slice(start, end)
    .matchAll(/<\/?item>/g)) {
    const isOpening = tag === "<item>";
    if (isOpening && depth === 0) from = start + index + tag.length;
    depth += isOpening ? 1 : -1;
    if (!isOpening && depth === 0) {
      const content = await change(text.slice(from, start + index));
      if (content !== "") parts.push(`<item>${content}</item>`);
    }
  }
  return text.slice(0, start) + parts.join("") + text.slice(end);
}

/** moto fails when it is asked for an attribute of an AMI that was deregistered. */
function isOfNoImage(answer: ApiAnswer): boolean {
  return answer !== "cut" && answer.status === 500;
}
