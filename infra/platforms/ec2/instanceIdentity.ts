/** The EC2 instance that runs this program, by its metadata service. */

import { z } from "zod";
import { UserError } from "../../errors.ts";

/** What an instance knows of itself. */
export interface InstanceIdentity {
  readonly instanceId: string;
  /** Whose 12 digits the instance is; a role that is taken on may be another account's. */
  readonly accountId: string;
  readonly region: string;
  /** Only volumes of the same zone can be attached. */
  readonly availabilityZone: string;
}

/** Where every instance finds its metadata service; the variable is the one that Amazon's own tools know. */
const defaultEndpoint = "http://169.254.169.254";
const endpointVariable = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/** The service is a part of the instance's own host, so it answers at once or is not there. */
const patienceMilliseconds = 2_000;

/** Long enough for the one request after it. */
const tokenSeconds = "60";

const documentSchema = z.object({
  instanceId: z.string().regex(/^i-[0-9a-f]+$/),
  accountId: z.string().regex(/^[0-9]{12}$/),
  region: z.string().min(1),
  availabilityZone: z.string().min(1),
});

/**
 * Asks the metadata service, in its second version, which wants a token.
 *
 * @param endpoint its address
 * @throws {UserError} when there is none, as on any other machine, or it does not answer as one does.
 */
export async function instanceIdentity(
  endpoint: string = process.env[endpointVariable] ?? defaultEndpoint,
): Promise<InstanceIdentity> {
  try {
    const token = await ask(endpoint, "/latest/api/token", {
      method: "PUT",
      headers: { "x-aws-ec2-metadata-token-ttl-seconds": tokenSeconds },
    });
    const document = await ask(
      endpoint,
      "/latest/dynamic/instance-identity/document",
      { headers: { "x-aws-ec2-metadata-token": token } },
    );
    return documentSchema.parse(JSON.parse(document));
  } catch (error) {
    throw new UserError(
      `This machine is no instance of EC2, or keeps its metadata from this program: ${endpoint} ${reasonOf(error)}. ` +
        "A snapshot by `method: volume` is made on an instance, with a volume that is attached to it. " +
        "Run there (in a container, the instance's http-put-response-hop-limit must be 2), or set `method: ebs-direct` for the target in cloud-images:ec2.",
      { cause: error },
    );
  }
}

async function ask(
  endpoint: string,
  path: string,
  request: RequestInit,
): Promise<string> {
  const response = await fetch(new URL(path, endpoint), {
    ...request,
    redirect: "error",
    signal: AbortSignal.timeout(patienceMilliseconds),
  });
  const text = await response.text();
  if (!response.ok) throw new UnexpectedAnswer(response.status, path);
  return text;
}

class UnexpectedAnswer extends Error {
  constructor(status: number, path: string) {
    super(`answers ${status} to ${path}`);
  }
}

/** To follow the address of the service. */
function reasonOf(error: unknown): string {
  if (error instanceof UnexpectedAnswer) return error.message;
  if (error instanceof z.ZodError || error instanceof SyntaxError)
    return "does not say which instance this is";
  return "does not answer";
}
