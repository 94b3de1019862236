/** Writes spec/spec.schema.json and spec/architectures/index.ts: `deno run -A spec/generate_schema.ts`. */

import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { jsonSchema } from "./schema.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** The JSON Schema file's text. */
export function schemaFile(): string {
  return `${JSON.stringify(jsonSchema(), null, 1)}\n`;
}

/** The text of the index of built-in architectures. */
export function architecturesFile(): string {
  const names = readdirSync(join(here, "architectures")).filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -5)).sort();
  return [
    "/** The built-in specs by name; written by spec/generate_schema.ts. */",
    "",
    ...names.map((name) => `import ${name} from "./${name}.json" with { type: "json" };`),
    "",
    "/** The specs as JSON. */",
    `export const architectures: Readonly<Record<string, unknown>> = { ${names.join(", ")} };`,
    "",
  ].join("\n");
}

/** The generated files by path. */
export function generatedFiles(): Record<string, string> {
  return {
    [join(here, "spec.schema.json")]: schemaFile(),
    [join(here, "architectures", "index.ts")]: architecturesFile(),
  };
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(generatedFiles())) writeFileSync(path, text);
}
