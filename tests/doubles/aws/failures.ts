/** Errors of AWS's services, and how the plugin tells them. */

/** The code of an error that a service answered with. */
export function codeOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

/** An error as a service would answer with it; for what moto lets pass. */
export class RefusedByAws extends Error {
  /**
   * @param code such as `InvalidAMIName.Duplicate`
   */
  constructor(code: string, message: string) {
    super(message);
    this.name = code;
  }
}

/**
 * Does something, and says of a failure what was being done, in the words of the plugin.
 *
 * @param doing such as `creating EC2 AMI (name)`
 * @param operation service and call, such as `EC2: RegisterImage`
 */
export async function told<Result>(
  doing: string,
  operation: string,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${doing}: operation error ${operation}, api error ${codeOf(error)}: ${message}`,
      { cause: error },
    );
  }
}

/** The result of a look-up, or `undefined` when the service says by one of these codes that there is no such thing. */
export async function unlessGone<Result>(
  codes: readonly string[],
  work: Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codes.includes(codeOf(error))) return undefined;
    throw error;
  }
}
