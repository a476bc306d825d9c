/**
 * What a platform is to the rest of the program: places to publish to. A platform is a folder beside this file and a
 * line in places.ts; nothing else of the program knows its name.
 */

import type * as pulumi from "@pulumi/pulumi";
import type {
  Definition,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../definitions/definition.ts";
import type { ImageFormat } from "../image/imageFormat.ts";
import type { Format, PublicationRecord } from "../store/records.ts";
import type { UploadsConfig } from "./uploads.ts";

/** Which place: a platform, and one of its regions, accounts or clouds by the name that the stack gives it. */
export interface PlaceId {
  /** The platform's folder: `directory`, `ec2`. */
  readonly platform: string;
  /** None where a stack has one place of the platform. */
  readonly place?: string | undefined;
}

/** An image version on its way to places. */
export interface PublishableImage {
  /** `organization/project/stack`. */
  readonly stack: string;
  /** The store's address. */
  readonly store: string;
  readonly key: ImageKey;
  /** Its definition and the first digits of its key: children are named after it. */
  readonly label: string;
  readonly definition: Definition;
  readonly channel: ImageType;
  /** None while it is one that failed and was allowed to. */
  readonly version: pulumi.Output<ImageVersion | undefined>;
  readonly rawSha256: pulumi.Output<string | undefined>;
  /** Why there is nothing to publish, where it was allowed to fail. */
  readonly failures: pulumi.Output<readonly string[]>;
  /** What must be done before: its boot checks. */
  readonly checks: readonly pulumi.Resource[];
  /** Its files in the forms that the place needs. */
  readonly files: readonly ImageFormat[];
  /** The place's record of it, once it was published there. */
  readonly record: PublicationRecord | undefined;
  /** How many files a run sends at once. */
  readonly uploads: UploadsConfig;
  /** The component that it is a part of. */
  readonly parent: pulumi.ComponentResource;
}

/** What was declared of an image in a place. */
export interface DeclaredPublication {
  /** Comes to its end with the publication; a value of the place's own. */
  readonly end: pulumi.Output<unknown>;
  /** What is said of it to people, a line each. */
  readonly lines: pulumi.Output<readonly string[]>;
}

/** How many image versions of a stack a place has, and is to have. */
export interface VersionCounts {
  readonly before: number;
  readonly after: number;
}

/** Somewhere that a stack publishes to. */
export interface Place extends PlaceId {
  /** The forms in which it needs images. */
  readonly formats: readonly Format[];
  /** The field of the stack's configuration that asks for them. */
  readonly formatsField: string;
  /** What is said once at the end of a run, below all images. */
  readonly ending?: string;
  /** Called when a run has come to its end in all places: the place may show what became of it. */
  conclude?(store: string): Promise<void>;
  /** Whether a definition is published here. Pure. */
  takes(definition: Definition): boolean;
  /** What is worth a look before an up, such as a quota that may be too small, though it is no error. Pure. */
  warning?(versions: VersionCounts): string | undefined;
  /** Declares an image version here. */
  publish(image: PublishableImage): DeclaredPublication;
  /**
   * Declares what names the newest version of an image here and belongs to no version, after that is published.
   *
   * @param older the newest of the other versions that are published here: named while the newest failed and may
   */
  point?(
    newest: PublishableImage,
    publication: DeclaredPublication,
    older: PublicationRecord | undefined,
  ): pulumi.Output<unknown>;
}

/** Whether a record is of that place. */
export function isOfPlace(
  { platform, place }: PlaceId,
  record: PublicationRecord,
): boolean {
  return record.platform === platform && record.place === place;
}

/** A place, as people call it: `ec2 frankfurt`. */
export function placeName({ platform, place }: PlaceId): string {
  return place === undefined ? platform : `${platform} ${place}`;
}
