/** A program that fetches one file of a preset and prints its path: `hub_child.ts PRESET FILE`. */

import process from "node:process";
import { openPreset } from "../../presets/handles.ts";

const [preset, file] = process.argv.slice(2);
const path = await (await openPreset(preset)).file(file);
process.stdout.write(`${path}\n`);
