/** How long loading takes, and how much memory: the base size of XLM-RoBERTa from both formats, against reading the bytes alone. */

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { models } from "../mod.ts";
import { formatCheckpointConfig, nestedConfig } from "../presets/huggingface/config.ts";
import { CHECKPOINT_FILES } from "../presets/huggingface/files.ts";
import { joinedShapes } from "../presets/huggingface/shapes.ts";
import { writeCheckpointWeights } from "../presets/huggingface/writing.ts";
import { backboneObject, typedConfig } from "../presets/kerashub/config.ts";
import { PRESET_FILES, writePresetJson } from "../presets/kerashub/directory.ts";
import { writeKerasWeights } from "../presets/kerashub/weights.ts";
import { toHuggingFace } from "../spec/index.ts";
import { median } from "./statistics.ts";

const ROUNDS = 5;

const SIZES = { vocabularySize: 250002, numLayers: 12, numHeads: 12, hiddenDim: 768, intermediateDim: 3072 };

/** What a child process measured. */
interface Measured {
  readonly milliseconds: number;
  /** The most memory that the process ever had, in bytes. */
  readonly peak: number;
}

/** Random values, quick to make: what they are doesn't matter, that no two blocks are alike does. */
function randomValues(size: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(size);
  let state = seed * 2654435761 >>> 0 || 1;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = state * 2 ** -36;
  }
  return values;
}

/** Writes the two presets; gives the folder of each by the name of its format. */
async function makePresets(home: string): Promise<Record<string, string>> {
  const backbone = new models.XLMRobertaBackbone(SIZES);
  const { expanded, weights } = backbone;
  let count = 0;
  const random = (shape: readonly number[]) => randomValues(shape.reduce((a, b) => a * b, 1), ++count);

  const huggingface = join(home, "huggingface");
  fs.mkdirSync(huggingface);
  const config = { ...nestedConfig(toHuggingFace(backbone.spec, backbone.config)), model_type: "xlm-roberta" };
  fs.writeFileSync(join(huggingface, CHECKPOINT_FILES.config), formatCheckpointConfig(config));
  const shapes = joinedShapes(expanded, weights);
  const joined = weights.map(({ path }) => ({ path, shape: shapes.get(path)! }));
  await writeCheckpointWeights(huggingface, expanded.checkpoints.huggingface!.weights, joined, (path) => random(shapes.get(path)!), {
    dtype: "float32",
    maximumBytes: Infinity,
    rename: (name) => name,
  });

  const kerashub = join(home, "kerashub");
  fs.mkdirSync(kerashub);
  const table = expanded.checkpoints.kerashub!;
  writePresetJson(kerashub, PRESET_FILES.config, backboneObject(table.backbone, backbone.name, typedConfig(expanded.config)));
  await writeKerasWeights(join(kerashub, PRESET_FILES.weights), table.groups, weights, ({ shape }) => random(shape));
  return { [CHECKPOINT_FILES.weights]: huggingface, [PRESET_FILES.weights]: kerashub };
}

/** What a child does: loads a preset, or reads the bytes of a file into memory. */
const CHILDREN: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  load: (preset) => models.Backbone.fromPreset(preset),
  // deno-lint-ignore require-await -- as the other
  bytes: async (path) => {
    const file = fs.openSync(path, "r");
    const parts: Uint8Array[] = [];
    for (let left = fs.fstatSync(file).size; left > 0;) {
      const part = new Uint8Array(Math.min(left, 1 << 26));
      left -= fs.readSync(file, part, 0, part.length, null);
      parts.push(part);
    }
    fs.closeSync(file);
    return parts;
  },
};

/** The most memory that this process ever had, in bytes. */
function peakMemory(): number {
  const status = "/proc/self/status";
  if (!fs.existsSync(status)) return process.resourceUsage().maxRSS * 1024;
  return Number(/VmHWM:\s*([0-9]+) kB/.exec(fs.readFileSync(status, "utf8"))![1]) * 1024;
}

/** Runs this file in a process of its own. */
function measure(what: string, path: string): Measured {
  const flags = "Deno" in globalThis ? ["run", "--allow-all", "--no-check"] : [];
  const child = spawnSync(process.execPath, [...flags, fileURLToPath(import.meta.url), what, path], { encoding: "utf8" });
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout.trim().split("\n").at(-1)!);
}

const [what, path] = process.argv.slice(2);
if (what !== undefined) {
  const start = performance.now();
  const kept = await CHILDREN[what](path);
  const milliseconds = performance.now() - start;
  console.log(JSON.stringify({ milliseconds, peak: peakMemory(), kept: kept !== null }));
} else {
  const home = fs.mkdtempSync(join(tmpdir(), "onnxhub-bench-"));
  try {
    console.log(`XLM-RoBERTa base, random float32 weights; medians of ${ROUNDS}, each in a process of its own`);
    console.log(`${"".padEnd(20)}     bytes  seconds  peak bytes  peak/bytes`);
    for (const [name, preset] of Object.entries(await makePresets(home))) {
      const file = join(preset, name);
      const { size } = fs.statSync(file);
      const runs: Record<string, Measured[]> = { bytes: [], load: [] };
      for (let i = 0; i < ROUNDS; i++) {
        runs.bytes.push(measure("bytes", file));
        runs.load.push(measure("load", preset));
      }
      const seconds: number[] = [];
      for (const [kind, measured] of Object.entries(runs)) {
        seconds.push(median(measured.map(({ milliseconds }) => milliseconds)) / 1000);
        const peak = median(measured.map((one) => one.peak));
        const label = kind === "bytes" ? "its bytes alone" : name;
        const cells = [
          String(size).padStart(10),
          seconds.at(-1)!.toFixed(2).padStart(7),
          String(peak).padStart(10),
          (peak / size).toFixed(2).padStart(10),
        ];
        console.log(`${label.padEnd(20)}${cells.join("  ")}`);
      }
      console.log(`${"".padEnd(20)}time: ${(seconds[1] / seconds[0]).toFixed(2)} of reading the bytes`);
    }
  } finally {
    fs.rmSync(home, { recursive: true, force: true });
  }
}
