/** The command `export`: a preset written in a format that other tools load. */

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { nearest, OnnxHubError } from "../errors.ts";
import type { Backbone } from "../models/backbone.ts";
import { parseSize } from "../models/shard_size.ts";
import type { Task } from "../models/task.ts";
import { command, PRESET } from "./command.ts";
import { openModel, taskOption } from "./preset_model.ts";
import { table } from "./table.ts";
import { bytes } from "./units.ts";

type DType = "float32" | "float16";

/** A format: the dtypes that it can be written in, and the writing. */
interface Format {
  readonly dtypes: readonly DType[];
  /** Whether weights can be spread over files. */
  readonly shards: boolean;
  write(model: Backbone | Task, directory: string, options: Writing): Promise<void>;
}

/** How to write. */
interface Writing {
  readonly dtype: DType;
  readonly maxShardSize?: string;
}

const FORMATS: Readonly<Record<string, Format>> = {
  kerashub: {
    dtypes: ["float32"],
    shards: true,
    write: (model, directory, { maxShardSize }) => model.saveToPreset(directory, { maxShardSize }),
  },
  huggingface: {
    dtypes: ["float32", "float16"],
    shards: true,
    write: (model, directory, options) => model.saveToHuggingFace(directory, options),
  },
  onnx: {
    dtypes: ["float32", "float16"],
    shards: false,
    write(model, directory, { dtype }) {
      if ("exportOnnx" in model) return model.exportOnnx(directory, { dtype });
      throw new OnnxHubError("cli/missing-option", "--format onnx needs a task: a backbone alone is no pipeline", {
        remedy: "Say which head to put on it: --task NAME.",
      });
    },
  },
};

/** The command. */
export const exportPreset = command({
  name: "export",
  about: "Writes a preset in a format that KerasHub, transformers or transformers.js loads",
  details: [
    "kerashub is a preset directory of KerasHub's; huggingface config.json, safetensors and the tokenizer, for transformers; onnx a folder",
    "for transformers.js' pipelines and any ONNX Runtime. What a format can't express is an error that names it. The files are written",
    "beside OUT, in its parent directory PARENT, and moved there at once. In Deno kerashub takes --allow-env too.",
  ],
  permissions: "--allow-read=DIR,PARENT --allow-write=PARENT",
  example: "DIR --format onnx --task masked_lm --out OUT",
  positionals: PRESET,
  options: {
    format: { type: "string", value: "NAME", required: true, about: Object.keys(FORMATS).join(", ") },
    task: taskOption,
    dtype: { type: "string", value: "NAME", about: "float32 (default) or, for huggingface and onnx, float16" },
    "max-shard-size": {
      type: "string",
      value: "SIZE",
      about: "The most that one file of weights may hold: default 10GiB for kerashub, 5GB for huggingface",
    },
    out: { type: "string", value: "OUT", required: true, about: "The directory to write" },
  },
  async run([preset], { format, task, dtype = "float32", "max-shard-size": maxShardSize, out }, console) {
    const { dtypes, shards, write } = FORMATS[oneOf("format", format, Object.keys(FORMATS))];
    const chosen = oneOf("dtype", dtype, dtypes, ` of --format ${format}`);
    if (maxShardSize !== undefined) checkSize(maxShardSize, format, shards);
    const model = await openModel(preset, task, { loadWeights: true });
    try {
      await write(model, out, { dtype: chosen, maxShardSize });
    } finally {
      await model.dispose();
    }
    const files = readdirSync(out, { recursive: true }).map(String).sort().filter((name) => statSync(join(out, name)).isFile());
    for (const line of table(COLUMNS, files.map((name) => [name, bytes(statSync(join(out, name)).size)]))) console.out(line);
    return 0;
  },
});

/** Text with a unit only: a bare number would be gigabytes to KerasHub and bytes to transformers. */
function checkSize(size: string, format: string, shards: boolean): void {
  if (!shards) {
    throw new OnnxHubError("cli/option-value", `--format ${format} takes no --max-shard-size`, {
      expected: "kerashub or huggingface, which can spread weights over files",
    });
  }
  if (parseSize(size) >= 1) return;
  throw new OnnxHubError("cli/option-value", `--max-shard-size ${size} is no size of a file`, {
    expected: "a number and its unit, such as 5GB or 200MiB",
  });
}

const COLUMNS = [{ heading: "File", align: "left" }, { heading: "Size", align: "right" }] as const;

function oneOf<T extends string>(option: string, value: string, choices: readonly T[], where = ""): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  const guess = choices.length > 1 ? nearest(value, choices) : undefined;
  throw new OnnxHubError("cli/option-value", `There is no --${option} ${value}${where}`, {
    expected: choices.join(" or "),
    remedy: guess && `Did you mean --${option} ${guess}?`,
  });
}
