/** The command `download`: a preset's files, fetched into the cache. */

import { statSync } from "node:fs";
import { command, PRESET } from "./command.ts";
import { bytes } from "./units.ts";

/** The command. */
export const downloadPreset = command({
  name: "download",
  about: "Fetches a preset's files into the cache, and prints the directory that they are in",
  details: [
    "Files that are there already aren't fetched again; of a local directory only the path is printed. Standard output has the",
    "directory alone: model=$(cli.ts download PRESET).",
  ],
  permissions: "--allow-read --allow-write --allow-net --allow-env",
  example: "hf://ORG/NAME",
  positionals: PRESET,
  options: {},
  async run([preset], _, console) {
    const { openPreset } = await import("../presets/handles.ts");
    const { fetchPreset } = await import("../presets/fetch.ts");
    const { directory, files } = await fetchPreset(await openPreset(preset));
    const sizes = [...files.values()].map((path) => statSync(path).size);
    console.error(`${files.size} files, ${bytes(sizes.reduce((a, b) => a + b, 0))}: ${[...files.keys()].join(", ")}`);
    console.out(directory);
    return 0;
  },
});
