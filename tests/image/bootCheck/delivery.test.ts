import { expect, test } from "vitest";
import { parse } from "yaml";
import {
  deliveryFor,
  scriptDisk,
} from "../../../infra/image/bootCheck/delivery.ts";
import { definitionWith, nonce } from "./fixtures.ts";

const command = `sh /dev/disk/by-id/virtio-boot-check ${nonce} /dev/ttyS1`;

/** Names and texts of the credentials in SMBIOS strings. */
function credentialsIn(strings: readonly string[]): Record<string, string> {
  const pairs = strings.map((text) => {
    const [, name = "", encoded = ""] =
      /^io\.systemd\.credential\.binary:([^=]+)=(.*)$/s.exec(text) ?? [];
    return [name, Buffer.from(encoded, "base64").toString()] as const;
  });
  return Object.fromEntries(pairs);
}

test("credentials bring a unit and have it started", () => {
  const delivery = deliveryFor(
    definitionWith({ report: "credentials" }),
    nonce,
  );
  const credentials = credentialsIn(delivery.smbiosStrings);
  expect(credentials["systemd.unit-dropin.multi-user.target"]).toBe(
    "[Unit]\nWants=boot-check.service\n",
  );
  const unit = credentials["systemd.extra-unit.boot-check.service"];
  expect(unit).toContain(`ExecStart=/bin/${command}\n`);
  expect(unit).toContain("Type=exec\n");
  expect(unit).toContain(
    "After=dev-disk-by\\x2did-virtio\\x2dboot\\x2dcheck.device\n",
  );
  expect(delivery).not.toHaveProperty("consoleCommand");
  expect(delivery).not.toHaveProperty("seed");
});

test("with credentials, an image with cloud-init gets a seed that starts nothing", () => {
  const definition = definitionWith({ report: "credentials" }, ["CLOUD_INIT"]);
  const { seed } = deliveryFor(definition, nonce);
  expect(seed?.["user-data"]).toBe("#cloud-config\n");
  expect(parse(seed?.["meta-data"] ?? "")).toEqual({
    "instance-id": `boot-check-${nonce}`,
  });
});

test("cloud-init starts the script without waiting for it", () => {
  const definition = definitionWith({ report: "cloud-init" });
  const { seed, smbiosStrings } = deliveryFor(definition, nonce);
  const userData = seed?.["user-data"] ?? "";
  expect(userData.startsWith("#cloud-config\n")).toBe(true);
  expect(parse(userData)).toEqual({
    runcmd: [`systemd-run --no-block --unit=boot-check.service ${command}`],
  });
  expect(smbiosStrings).toEqual([]);
});

test("on the console, the script is started by typing", () => {
  const definition = definitionWith({ report: "console" });
  expect(deliveryFor(definition, nonce)).toEqual({
    smbiosStrings: [],
    consoleCommand: command,
  });
});

test.each([0, 1, 511, 512, 513])(
  "a script of %i bytes fills whole sectors",
  (length) => {
    const disk = scriptDisk("#".repeat(length));
    expect(disk.length % 512).toBe(0);
    expect(disk.length - length).toBeLessThan(512);
    expect(disk.toString().trimEnd()).toBe("#".repeat(length));
  },
);

test("where there is one serial port, the script reports on a virtio port", () => {
  const definition = definitionWith({ report: "console" });
  const { consoleCommand } = deliveryFor(
    { ...definition, architecture: "riscv64" },
    nonce,
  );
  expect(consoleCommand).toBe(
    `sh /dev/disk/by-id/virtio-boot-check ${nonce} /dev/virtio-ports/boot-check.report`,
  );
});
