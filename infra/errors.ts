/**
 * Something the user can put right: a definition, the stack's configuration, the machine.
 *
 * The message is one or more full sentences: what is wrong, where (file and field), and what to do.
 */
export class UserError extends Error {
  override name = "UserError";
}

/** A build by FAI, or the assembly of its disk, that did not come to a good end. */
export class BuildError extends Error {
  override name = "BuildError";
}

/** An image that did not prove, in time and in full, that it boots. */
export class BootCheckError extends Error {
  override name = "BootCheckError";
}

/** Work that was ended from outside, which says nothing about the image. */
export class InterruptedError extends Error {
  override name = "InterruptedError";
}

/** An artifact, manifest or record that is missing, altered or held by someone else. */
export class StoreError extends Error {
  override name = "StoreError";
}

/** Something that a platform refused, lost or did not do in time: the next run goes on from there. */
export class PublicationError extends Error {
  override name = "PublicationError";
}

/** A platform's copy of an image that is not the image. */
export class WrongCopyError extends PublicationError {
  override name = "WrongCopyError";
}

/** A preview that could not be made, or says nothing that could be understood. */
export class PreviewError extends UserError {
  override name = "PreviewError";
}

/** A request that GitLab refused, or did not answer in time. */
export class GitlabError extends UserError {
  override name = "GitlabError";
  /** Of the answer; none where there was none. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}
