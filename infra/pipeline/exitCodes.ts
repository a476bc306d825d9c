/** How jobs end that build images. Setup that fails, and whatever else is wrong, ends them with 1. */

/** The image could not be built, or did not prove that it boots. GitLab allows it where the definition does. */
export const imageFailed = 3;

/** The store cannot be read or written, which says nothing about the image. */
export const storeFailed = 4;
