/** A host of each kind, and runners for them. */

export const sampleRunners = {
  "merge-amd64": { tags: ["amd64", "kvm", "merge"], protected: false },
  "release-amd64": {
    ...{ project: "image", tags: ["amd64", "kvm", "release"], protected: true },
  },
  "release-arm64": {
    ...{ project: "image", tags: ["arm64", "release"], protected: true },
  },
} as const;

const hours = { from: 6, to: 20, timezone: "Europe/Berlin" };

export const hostKey = `ssh-ed25519 ${"A".repeat(68)}`;

export const sampleHosts = {
  ec2: {
    ...{ kind: "ec2", runners: ["merge-amd64"], region: "eu-central-1" },
    ...{ image: "ami-0123456789abcdef0", instanceTypes: ["m8i.xlarge"] },
    ...{ vpc: "vpc-01", subnets: ["subnet-01"], kvm: true, tests: true },
    ...{ machines: { max: 3 }, hours, cache: { bucket: "merge-cache" } },
  },
  gce: {
    ...{ kind: "gce", runners: ["release-amd64"], project: "a-project" },
    ...{ region: "europe-west3", image: "debian-cloud/debian-13" },
    ...{ machineType: "n2-standard-4", network: "net", kvm: true, spot: true },
    ...{ subnetwork: "release", machines: { min: 1, max: 2 }, hours },
  },
  az: {
    ...{ kind: "azure", runners: ["release-arm64"], architecture: "arm64" },
    subscription: "01234567-89ab-cdef-0123-456789abcdef",
    ...{ resourceGroup: "images", location: "westeurope", spot: true },
    ...{ size: "Standard_D4ps_v6", image: "Debian:debian-13:13-arm64:latest" },
    subnet:
      "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/net/subnets/release",
    ...{ sshKey: "ssh-ed25519 AAAA", machines: { max: 2 } },
    hours: { from: 6, to: 20, days: [0, 6] },
  },
  existing: {
    ...{ kind: "existing", runners: ["release-amd64", "release-arm64"] },
    ...{ address: "builder.example", hostKey },
  },
};
