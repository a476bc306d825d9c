/** Previews for tests of what is made of them. */

import type { PreviewDocument } from "../../infra/pipeline/previewDocument.ts";

/** A merge that brings new versions of two images to four clouds, and takes old ones away. */
export const sampleDocument: PreviewDocument = {
  format: 1,
  stack: "prod",
  state: "target",
  leftOut: [],
  isComplete: true,
  counts: { create: 20, update: 1, replace: 0, delete: 8, same: 60 },
  versions: [
    version("debian-13-ec2-amd64", "a".repeat(12), "appears", 8),
    version("debian-13-ec2-amd64", "b".repeat(12), "stays", 8),
    version("debian-13-ec2-amd64", "c".repeat(12), "goes", 8),
    version("debian-13-azure-amd64", "d".repeat(12), "appears", 30),
  ],
  publications: [
    ...(["frankfurt", "oregon"] as const).flatMap((place, index) => [
      publication("appears", "a", "ec2", place, [
        ["eu-central-1", "us-west-2"][index] ?? "",
      ]),
      publication("goes", "c", "ec2", place, [
        ["eu-central-1", "us-west-2"][index] ?? "",
      ]),
    ]),
    {
      ...publication("appears", "d", "azure", "europe", [
        "westeurope",
        "northeurope",
        "francecentral",
      ]),
      definition: "debian-13-azure-amd64",
    },
    publication("changes", "b", "ec2", "frankfurt", ["eu-central-1"]),
  ],
  explanations: [
    {
      definition: "debian-13-ec2-amd64",
      key: "a".repeat(12),
      before: { key: "b".repeat(12), version: "20261120-1" },
      reasons: ["image-definitions/fai/package_config/EC2 has changed."],
    },
    { definition: "debian-13-azure-amd64", key: "d".repeat(12), reasons: [] },
  ],
  packages: [
    {
      definition: "debian-13-ec2-amd64",
      key: "a".repeat(12),
      packages: 312,
      base: "20261120-1",
      changes: [
        { name: "openssl", from: "3.5.1-1", to: "3.5.1-1+deb13u1" },
        { name: "vim", to: "2:9.1.1230-2" },
        { name: "nano", from: "8.4-1" },
      ],
    },
  ],
  machines: [
    {
      type: "aws:autoscaling/group:Group",
      name: "merge-amd64",
      change: "appears",
      properties: [],
      most: 4,
    },
  ],
  others: [
    {
      type: "gitlab:index/pipelineSchedule:PipelineSchedule",
      name: "gitlab-image-schedule-daily",
      change: "changes",
      properties: ["cron"],
    },
  ],
  problems: [
    {
      severity: "warning",
      text: "cloud-images:ec2.targets.oregon: this stack is to have 6 public AMIs in us-west-2.",
    },
  ],
};

function version(
  definition: string,
  key: string,
  change: PreviewDocument["versions"][number]["change"],
  sizeGiB: number,
): PreviewDocument["versions"][number] {
  return { definition, key, change, sizeGiB };
}

function publication(
  change: PreviewDocument["publications"][number]["change"],
  digit: string,
  platform: string,
  place: string,
  regions: string[],
): PreviewDocument["publications"][number] {
  const definition = "debian-13-ec2-amd64";
  return {
    definition,
    key: digit.repeat(12),
    platform,
    place,
    regions,
    change,
  };
}
