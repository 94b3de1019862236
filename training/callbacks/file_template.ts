/** Python's replacement fields in a file name: `{epoch:02d}-{val_loss:.2f}.weights.h5`. */

import { nearest, OnnxHubError } from "../../errors.ts";
import { formatField } from "../python_format.ts";

/**
 * Fills in the fields, as Python's `str.format` with these values.
 *
 * Throws "training/file-template" for a field without a value, a format that it doesn't know, and a brace that isn't closed.
 */
export function fillTemplate(template: string, values: Readonly<Record<string, number>>, path: string): string {
  return template.replace(/\{\{|\}\}|\{([^{}:]*)(?::([^{}]*))?\}|[{}]/g, (match: string, name?: string, spec?: string) => {
    if (match === "{{" || match === "}}") return match[0];
    if (name === undefined) throw failure(template, path, "a single brace", "Close the field, or write the brace twice to have one.");
    if (!Object.hasOwn(values, name)) {
      const suggestion = nearest(name, Object.keys(values));
      throw failure(
        template,
        path,
        `{${name}}, where there are ${Object.keys(values).join(", ")}`,
        suggestion ? `Did you mean \`{${suggestion}}\`?` : undefined,
      );
    }
    const text = formatField(values[name], spec ?? "");
    if (text === undefined) {
      throw failure(
        template,
        path,
        `the format \`${spec}\` of ${name} = ${values[name]}`,
        "Use one like `02d` for whole numbers or `.2f` for others.",
      );
    }
    return text;
  });
}

function failure(template: string, path: string, found: string, remedy?: string): OnnxHubError {
  return new OnnxHubError("training/file-template", `Failed to format this callback filepath: "${template}"`, { path, found, remedy });
}
