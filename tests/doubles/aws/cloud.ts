/** How the stand-in reaches what stands for AWS: a server, with the credentials and limits of the provider's inputs. */

import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EBSClient } from "@aws-sdk/client-ebs";
import type { EC2Client } from "@aws-sdk/client-ec2";
import type { IAMClient } from "@aws-sdk/client-iam";
import type { S3Client } from "@aws-sdk/client-s3";
import type { SSMClient } from "@aws-sdk/client-ssm";
import type { AwsCredentialIdentityProvider } from "@aws-sdk/types";
import { isList, isObject, type Properties } from "../values.ts";

/** Names a directory in which the stand-in keeps what moto drops. */
export const keptVariable = "CLOUD_IMAGES_DOUBLE_AWS_STATE";

/** Attempts of one call. The plugin's own 26 would have a test of a dead region wait for minutes. */
const defaultAttempts = 8;

/** Where IAM is: it has no regions. */
const iamRegion = "us-east-1";

interface ClientSettings {
  readonly region: string;
  readonly maxAttempts: number;
  readonly credentials: AwsCredentialIdentityProvider;
  readonly endpoint?: string;
}

/** The services of AWS as one provider resource reaches them. Nothing is loaded or asked before it is needed. */
export class AwsCloud {
  readonly #config: Properties;
  readonly #clients = new Map<string, Promise<unknown>>();
  #checked: Promise<void> | undefined;

  /** @param config the inputs of the provider, as @pulumi/aws has them */
  constructor(config: Properties) {
    this.#config = config;
  }

  /** The provider's own region. */
  get region(): string {
    const { region } = this.#config;
    if (typeof region !== "string" || region === "") {
      throw new Error(
        "invalid AWS Region: the provider's region is not configured",
      );
    }
    return region;
  }

  ec2(region: string): Promise<EC2Client> {
    return this.#client("ec2", region, async (settings) => {
      const { EC2Client } = await import("@aws-sdk/client-ec2");
      return new EC2Client(settings);
    });
  }

  /** What EC2 itself uses to copy a snapshot; the real plugin never calls it. */
  ebs(region: string): Promise<EBSClient> {
    return this.#client("ec2 ebs", region, async (settings) => {
      const { EBSClient } = await import("@aws-sdk/client-ebs");
      return new EBSClient(settings);
    });
  }

  ssm(region: string): Promise<SSMClient> {
    return this.#client("ssm", region, async (settings) => {
      const { SSMClient } = await import("@aws-sdk/client-ssm");
      return new SSMClient(settings);
    });
  }

  s3(region: string): Promise<S3Client> {
    return this.#client("s3", region, async (settings) => {
      const { S3Client } = await import("@aws-sdk/client-s3");
      const forcePathStyle = this.#config.s3UsePathStyle === true;
      return new S3Client({ ...settings, forcePathStyle });
    });
  }

  iam(): Promise<IAMClient> {
    return this.#client("iam", iamRegion, async (settings) => {
      const { IAMClient } = await import("@aws-sdk/client-iam");
      return new IAMClient(settings);
    });
  }

  /** @param name of the service in the provider's endpoints, and of the client where a service has two */
  async #client<Client>(
    name: string,
    region: string,
    make: (settings: ClientSettings) => Promise<Client>,
  ): Promise<Client> {
    this.#checked ??= this.#checkAccount();
    await this.#checked;
    const key = `${name} ${region}`;
    let client = this.#clients.get(key) as Promise<Client> | undefined;
    if (client === undefined) {
      client = this.#settings(name.split(" ")[0] as string, region).then(make);
      this.#clients.set(key, client);
    }
    return client;
  }

  async #settings(service: string, region: string): Promise<ClientSettings> {
    const { maxRetries } = this.#config;
    const endpoint = this.#endpoint(service);
    return {
      region,
      maxAttempts:
        typeof maxRetries === "number" ? maxRetries + 1 : defaultAttempts,
      credentials: await this.#credentials(region),
      ...(endpoint === undefined ? {} : { endpoint }),
    };
  }

  #endpoint(service: string): string | undefined {
    const { endpoints } = this.#config;
    const [first] = isList(endpoints) ? endpoints : [];
    const url = isObject(first) ? first[service] : undefined;
    return typeof url === "string" && url !== "" ? url : undefined;
  }

  async #credentials(region: string): Promise<AwsCredentialIdentityProvider> {
    const { accessKey, secretKey, token, profile, assumeRoles } = this.#config;
    const { fromNodeProviderChain, fromTemporaryCredentials } = await import(
      "@aws-sdk/credential-providers"
    );
    const own: AwsCredentialIdentityProvider =
      typeof accessKey === "string" && typeof secretKey === "string"
        ? async () => ({
            accessKeyId: accessKey,
            secretAccessKey: secretKey,
            ...(typeof token === "string" ? { sessionToken: token } : {}),
          })
        : fromNodeProviderChain({
            ...(typeof profile === "string" ? { profile } : {}),
            clientConfig: { region },
          });
    const endpoint = this.#endpoint("sts");
    const roles = isList(assumeRoles) ? assumeRoles : [];
    return roles.reduce<AwsCredentialIdentityProvider>((master, role) => {
      if (!isObject(role) || typeof role.roleArn !== "string") return master;
      return fromTemporaryCredentials({
        masterCredentials: master,
        params: {
          RoleArn: role.roleArn,
          RoleSessionName:
            typeof role.sessionName === "string" ? role.sessionName : "aws",
        },
        clientConfig: {
          region,
          ...(endpoint === undefined ? {} : { endpoint }),
        },
      });
    }, own);
  }

  /** Refuses to work in an account that the provider's inputs do not allow. */
  async #checkAccount(): Promise<void> {
    const { allowedAccountIds, skipRequestingAccountId } = this.#config;
    if (!isList(allowedAccountIds) || skipRequestingAccountId === true) return;
    const { STSClient, GetCallerIdentityCommand } = await import(
      "@aws-sdk/client-sts"
    );
    const settings = await this.#settings("sts", this.region);
    const { Account } = await new STSClient(settings).send(
      new GetCallerIdentityCommand({}),
    );
    if (!allowedAccountIds.includes(Account ?? null)) {
      throw new Error(`AWS account ID not allowed: ${Account}`);
    }
  }
}

/** Attributes of an AMI that moto drops, by the names that @pulumi/aws gives them. */
export type KeptImage = Properties;

function directoryOfEnvironment(): string {
  const directory = process.env[keptVariable];
  if (directory !== undefined && directory !== "") return directory;
  throw new Error(
    `The stand-in for AWS needs ${keptVariable}, a directory for what moto drops.`,
  );
}

function keptFile(id: string, directory: string): string {
  return join(directory, "images", `${id}.json`);
}

/**
 * What is kept of an AMI; nothing of one that the stand-in did not register.
 *
 * @param directory the one that the environment names, when it is left out
 */
export async function keptImage(
  id: string,
  directory = directoryOfEnvironment(),
): Promise<KeptImage> {
  try {
    return JSON.parse(
      await readFile(keptFile(id, directory), "utf8"),
    ) as KeptImage;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}

/** Keeps attributes of an AMI, in place of what was kept. A test may do so too, behind Pulumi's back. */
export async function keepImage(
  id: string,
  image: KeptImage,
  directory = directoryOfEnvironment(),
): Promise<void> {
  const file = keptFile(id, directory);
  await mkdir(join(file, ".."), { recursive: true });
  const written = `${file}.${process.pid}`;
  await writeFile(written, `${JSON.stringify(image, undefined, 2)}\n`);
  await rename(written, file);
}

/** Ids of the AMIs of which something is kept, also of those that are gone. */
export async function keptImageIds(
  directory: string,
): Promise<readonly string[]> {
  const names = await readdir(join(directory, "images")).catch(() => []);
  return names.flatMap((name) => /^(ami-\w+)\.json$/.exec(name)?.[1] ?? []);
}
