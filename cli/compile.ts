/** The command `compile`: a spec's graphs as ONNX files that any runtime takes, with a manifest that says how to feed them. */

import { encode } from "../codegen/onnx/encode.ts";
import { compile } from "../codegen/compile.ts";
import { optimizerGraph } from "../codegen/optimizers/step.ts";
import { trainingRequest } from "../codegen/training_request.ts";
import { OnnxHubError } from "../errors.ts";
import { getOptimizer, type Optimizer } from "../runtime/optimizer/config.ts";
import { type ExpandedSpec, hash } from "../spec/index.ts";
import { command, SPEC } from "./command.ts";
import {
  bareValues,
  describeOptimizer,
  describeProgram,
  describeWeights,
  FORMAT,
  type Manifest,
  type ManifestGraph,
  type ManifestOptimizer,
} from "./manifest.ts";
import { expandModel, modelOptions } from "./model.ts";
import { type Content, writeCompiled } from "./output_directory.ts";
import { bytes, count } from "./units.ts";
import { wholeNumber } from "./values.ts";
import { placeWeights, writeWeights } from "./weights_file.ts";

/** What {@linkcode compileModel} can be told. */
export interface CompileOptions {
  /** The optimizer, by Keras' name with Keras' defaults; default the task's own. */
  readonly optimizer?: string;
  /** The seed of the initial weights, or null for graphs that take the weights as inputs. */
  readonly seed: number | null;
}

/** Files by name, and the manifest. */
export interface CompiledFiles {
  readonly files: ReadonlyMap<string, Content>;
  readonly manifest: Manifest;
}

const WEIGHTS = "weights.bin";

/** Compiles a model into files: `inference.onnx` and its `weights.bin`; with a task `training.onnx` and `optimizer.onnx` too. */
export function compileModel(spec: ExpandedSpec, { optimizer: name, seed }: CompileOptions): CompiledFiles {
  const files = new Map<string, Content>();
  const graphs: Record<string, ManifestGraph> = {};
  const inference = compile(spec, { mode: "infer" });
  const { weights } = inference.program;
  const places = seed === null ? new Map() : placeWeights(WEIGHTS, weights);
  files.set("inference.onnx", seed === null ? inference.program.stages[0].model : encode(inference.graph, { initializers: places }));
  graphs["inference.onnx"] = describeProgram(inference.program, new Set(places.keys()));
  if (seed !== null) files.set(WEIGHTS, (temporary) => writeWeights(temporary, weights, seed));

  let optimizer: ManifestOptimizer | null = null;
  let loss: Manifest["loss"] = null;
  if (spec.head) {
    const request = trainingRequest(spec);
    const training = compile(spec, request).program;
    files.set("training.onnx", training.stages[0].model);
    graphs["training.onnx"] = describeProgram(training, new Set());
    loss = { ...request.loss, reduction: request.reduction ?? "sum_over_batch_size" };

    const used = optimizerOf(spec.head, name);
    const trained = training.stages[0].outputs.flatMap((output) => output.role === "gradient" ? [output.weight] : []);
    const steps = training.weights.filter(({ path }) => trained.includes(path)).map(({ path, shape }) => ({ path, shape }));
    const graph = optimizerGraph(used.settings, steps);
    files.set("optimizer.onnx", encode(graph));
    graphs["optimizer.onnx"] = describeOptimizer(graph, used.settings, Number(used.learningRate), steps);
    optimizer = { name: used.className, config: used.getConfig() };
  }
  const manifest: Manifest = {
    format: FORMAT,
    spec: { name: spec.name, task: spec.head?.task ?? null, hash: hash(spec) },
    config: bareValues(spec.config),
    task_config: bareValues(spec.head?.config ?? {}),
    limits: spec.limits,
    seed,
    weights_file: seed === null ? null : WEIGHTS,
    weights: describeWeights(weights, places),
    loss,
    optimizer,
    files: graphs,
  };
  return { files, manifest };
}

/** The optimizer of a name, or the head's own. */
export function optimizerOf(head: NonNullable<ExpandedSpec["head"]>, name: string | undefined): Optimizer {
  const own = head.compile.optimizer;
  return getOptimizer(name ?? { class_name: own.name, config: own.config });
}

/** The command. */
export const compileFiles = command({
  name: "compile",
  about: "Compiles a spec into ONNX files and a manifest of what they take and give",
  details: [
    "Writes inference.onnx with its weights beside it in weights.bin (initial values, seeded), and manifest.json; with --task also",
    "training.onnx (loss, metric sums, gradients; takes the weights as inputs) and optimizer.onnx (one update of all weights).",
    "The same spec, values and seed give the same bytes.",
  ],
  permissions: "--allow-read=SPEC,DIR --allow-write=DIR",
  example: "SPEC --task masked_lm --config num_layers=4 --out DIR",
  positionals: SPEC,
  options: {
    ...modelOptions,
    optimizer: { type: "string", value: "NAME", about: "The optimizer, by Keras' name: adam, adamw, sgd, …; default the task's own" },
    seed: { type: "string", value: "NUMBER", about: "The seed of the initial weights; default 0" },
    "no-weights": { type: "boolean", about: "Leave the weights as inputs of inference.onnx; no weights.bin" },
    out: { type: "string", value: "DIR", required: true, about: "The directory to write into" },
  },
  async run([file], values, console) {
    const { task, optimizer, out } = values;
    if (optimizer !== undefined && task === undefined) {
      throw new OnnxHubError("cli/missing-option", "--optimizer is given without --task", {
        remedy: "Say what is to be trained: --task NAME.",
      });
    }
    const seed = values["no-weights"] ? null : values.seed === undefined ? 0 : wholeNumber("seed", values.seed, 0);
    const spec = await expandModel(file, values);
    const { files, manifest } = compileModel(spec, { optimizer, seed });
    await writeCompiled(out, files, manifest);
    const size = (name: string, content: Content): number =>
      typeof content !== "function"
        ? content.length
        : name === WEIGHTS
        ? manifest.weights.reduce((sum, { length = 0 }) => sum + length, 0)
        : 0;
    for (const [name, content] of files) {
      const graph = manifest.files[name];
      const facts = graph ? `  ${count(graph.inputs.length)} in, ${count(graph.outputs.length)} out` : "";
      console.out(`${name.padEnd(14)}  ${bytes(size(name, content)).padStart(8)}${facts}`);
    }
    if (!spec.head) console.out("No --task: nothing to train, so no training.onnx and no optimizer.onnx.");
    return 0;
  },
});
