/** The command `presets`: the built-in presets, all or some. */

import { list } from "../presets/registry.ts";
import { command } from "./command.ts";
import { table } from "./table.ts";
import { quantity } from "./units.ts";

/** The command. */
export const listPresets = command({
  name: "presets",
  about: "Lists the built-in presets",
  details: [],
  permissions: "",
  example: "--task masked_lm --search multilingual",
  positionals: { usage: "", least: 0, most: 0, what: "options only", expected: "--search for words", notes: [] },
  options: {
    architecture: { type: "string", value: "NAME", about: "Only those of one architecture, by the name of its spec" },
    task: { type: "string", value: "NAME", about: "Only those whose architecture has this task: masked_lm, …" },
    search: { type: "string", value: "WORDS", about: "Only those with all these words in name, handle or description" },
    json: { type: "boolean", about: "Print JSON, with handles and exact numbers" },
  },
  run(_, { architecture, task, search, json }, console) {
    const found = list({ architecture, task, search });
    if (json) console.out(JSON.stringify(found, null, 2));
    else if (found.length === 0) console.error("No built-in preset is like that.");
    else {
      const rows = found.map(({ name, parameters, description }) => [name, quantity(parameters), description]);
      for (const line of table(COLUMNS, rows)) console.out(line);
    }
    return Promise.resolve(found.length === 0 ? 1 : 0);
  },
});

const COLUMNS = [
  { heading: "Preset", align: "left" },
  { heading: "Parameters", align: "right" },
  { heading: "Description", align: "left" },
] as const;
