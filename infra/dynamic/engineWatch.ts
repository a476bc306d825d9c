/** Makes the provider's process end with the engine, also when the engine is killed outright. */

/** How often the parent is looked at: a killed `pulumi` leaves its work running no longer than this. */
const intervalMilliseconds = 500;

let watching = false;

/**
 * Ends this process soon after its parent has gone. Pulumi closes its plugins itself when it comes to an end;
 * after SIGKILL nobody does, and a build would go on for nobody.
 */
export function endWithEngine(): void {
  if (watching) return;
  watching = true;
  const engine = process.ppid;
  setInterval(() => {
    if (process.ppid !== engine) process.exit(1);
  }, intervalMilliseconds).unref();
}
