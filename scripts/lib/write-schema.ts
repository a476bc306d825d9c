/** Writes image-definitions/schema.json anew; `npm run schema` calls it. */

import { writeFile } from "node:fs/promises";
import { definitionJsonSchema } from "../../infra/definitions/schema.ts";
import { projectPath } from "../../infra/projectPaths.ts";

await writeFile(
  projectPath("image-definitions/schema.json"),
  definitionJsonSchema(),
);
