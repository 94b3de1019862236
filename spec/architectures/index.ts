/** The built-in specs by name; written by spec/generate_schema.ts. */

import bert from "./bert.json" with { type: "json" };
import camembert from "./camembert.json" with { type: "json" };
import llama from "./llama.json" with { type: "json" };
import roberta from "./roberta.json" with { type: "json" };
import xlm_roberta from "./xlm_roberta.json" with { type: "json" };

/** The specs as JSON. */
export const architectures: Readonly<Record<string, unknown>> = { bert, camembert, llama, roberta, xlm_roberta };
