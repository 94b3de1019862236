/** The built-in specs by name; written by spec/generate_schema.ts. */

import roberta from "./roberta.json" with { type: "json" };
import xlm_roberta from "./xlm_roberta.json" with { type: "json" };

/** The specs as JSON. */
export const architectures: Readonly<Record<string, unknown>> = { roberta, xlm_roberta };
