/** A machine that exists, set up over ssh. */

import { createHash } from "node:crypto";
import { Command } from "@pulumi/command/remote/command.js";
import * as pulumi from "@pulumi/pulumi";
import { quoted, removalScript } from "../hostSetup.ts";
import type { MachineKind } from "../machineKind.ts";
import type { ExistingHostConfig } from "../runnerHostsConfig.ts";

/** Ends the tokens in what the machine reads. */
const delimiter = "CLOUD_IMAGES_TOKENS";

/** How often the machine is called before an `up` gives it up. */
const attempts = 3;

export const machines: MachineKind<ExistingHostConfig> = {
  declare({ name, config, tokens, script, parent }) {
    const { address, port, user, hostKey, privateKey } = config;
    const text = script({ kind: "existing" });
    const shell = `${user === "root" ? "" : "sudo --non-interactive "}/bin/bash`;
    const setUp = `${shell} -s`;
    const generation = createHash("sha256").update(text).digest("hex");
    const command = new Command(
      `${name}-setup`,
      {
        connection: {
          ...{ host: address, port, user, hostKey },
          ...(privateKey === undefined
            ? {}
            : { privateKey: pulumi.secret(privateKey) }),
          dialErrorLimit: attempts,
        },
        // The script comes with the tokens on standard input: command lines are for everybody on the machine to see, and
        // the plugin shows them when something fails.
        create: setUp,
        update: setUp,
        stdin: pulumi.secret(
          pulumi.interpolate`${text}\nmain <<'${delimiter}'\n${tokens}\n${delimiter}\n`,
        ),
        // Standard input is there again, and is not read.
        delete: `${shell} -c ${quoted(removalScript())}`,
        triggers: [generation],
        logging: "none",
        addPreviousOutputInEnv: false,
      },
      {
        parent,
        // What is on another machine is not changed there, but made there, and taken away here.
        replaceOnChanges: ["connection.host", "connection.port"],
        additionalSecretOutputs: ["stdout", "stderr"],
      },
    );
    return command.id.apply(() => generation);
  },
};
