/** Tasks: a backbone with a head, from presets and to them. KerasHub's `Task`. */

import { lowerModel } from "../codegen/lowering/model.ts";
import { type Padding, paddingOf } from "../codegen/padding.ts";
import type { WeightInfo } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import { Parameters } from "../runtime/parameters.ts";
import type { TensorLike } from "../runtime/tensor.ts";
import { unpadded } from "../runtime/unpadded.ts";
import { type BuiltInPreset, presetsOf } from "../presets/registry.ts";
import { expand } from "../spec/index.ts";
import type { ConfigValue } from "../spec/types.ts";
import type { Predictions } from "../training/predict.ts";
import type { Backbone } from "./backbone.ts";
import { type HuggingFaceSaveOptions, saveTaskToHuggingFace } from "./huggingface_saving.ts";
import type { RunOptions } from "./model.ts";
import { exportOnnx, type OnnxExportOptions } from "./onnx_export.ts";
import { camelCase } from "../spec/naming.ts";
import { configFrom, snakeName } from "./options.ts";
import type { Preprocessor } from "./preprocessor.ts";
import { classesOf } from "./registry.ts";
import { loadTask, type SaveOptions, saveTask, type TaskLoadOptions } from "./presets.ts";
import { type SummaryOptions, taskSummary } from "./summary.ts";
import { TrainableModel } from "./trainable_model.ts";
import { checkWeightsFile, loadTaskWeights, loadWeightsFile, saveTaskWeights, saveWeightsFile } from "./weight_files.ts";

/** What every task takes beside its head's own configuration. */
export interface TaskOptions extends Pick<RunOptions, "seed"> {
  /** The backbone; its weights are shared, not copied. */
  backbone: Backbone;
  /** Texts to inputs; null or left out: inputs are numbers. */
  preprocessor?: Preprocessor | null;
  /** Whether the task is compiled with what its spec says; default true. */
  compile?: boolean;
  /** Default Keras' automatic name: `xlm_roberta_masked_lm`. */
  name?: string;
}

const TASK_OPTIONS = ["backbone", "preprocessor", "compile", "name", "seed"];

/** A task's class, as `fromPreset` is called on it. */
export interface TaskClass<T extends Task> {
  // The options of the generated classes differ; that they fit their own spec is checked when they run.
  // deno-lint-ignore no-explicit-any
  new (options: any): T;
  readonly architecture: string | null;
  readonly task: string | null;
}

/** A model for a task. Source: keras_hub.models.Task, keras.Model. */
export class Task extends TrainableModel {
  /** The spec's name in the generated classes; null in those that take any backbone. */
  static readonly architecture: string | null = null;
  /** The spec's name of the task; null in the base class. */
  static readonly task: string | null = null;

  /** The backbone. */
  readonly backbone: Backbone;
  /** Texts to inputs, or null. */
  override preprocessor: Preprocessor | null;
  /** The head's hyperparameters, under their names in the spec. */
  readonly config: Readonly<Record<string, ConfigValue>>;
  readonly #weights: readonly WeightInfo[];
  readonly #padding: Padding | null;

  /** A task over a backbone; the head's own configuration in camelCase among the options. */
  constructor(options: TaskOptions) {
    const { backbone, name } = options;
    const { task, architecture } = new.target;
    if (task === null) {
      throw new OnnxHubError("model/abstract", "`Task` is no task in particular", {
        remedy: "Use a task's class, such as `models.MaskedLM`.",
      });
    }
    if (!backbone?.spec) {
      throw new OnnxHubError("model/backbone", `A task needs a backbone`, { path: `${new.target.name}.backbone`, found: typeof backbone });
    }
    const { source } = backbone.spec;
    if (architecture !== null && source.name !== architecture) {
      throw new OnnxHubError("model/backbone", "This backbone is of another architecture", {
        path: `${new.target.name}.backbone`,
        expected: architecture,
        found: source.name,
      });
    }
    const taskConfig = configFrom(new.target.name, options, Object.keys(source.heads?.[task]?.config ?? {}), TASK_OPTIONS);
    const expanded = expand(backbone.spec, { config: backbone.config, task, taskConfig });
    const className = expanded.checkpoints.kerashub?.tasks[task]?.class_name;
    const parameters = new Parameters(options.seed ?? backbone.run.seed, backbone.parameters);
    super(name ?? (className ? snakeName(className) : `${source.name}_${task}`), expanded, parameters, {
      ...backbone.run,
      seed: options.seed ?? backbone.run.seed,
    });
    this.backbone = backbone;
    this.preprocessor = options.preprocessor ?? null;
    this.config = Object.fromEntries(Object.entries(expanded.head!.config).map(([key, { value }]) => [key, value]));
    const lowered = lowerModel(expanded, { training: false });
    this.#weights = lowered.weights.list();
    this.#padding = paddingOf(expanded, Object.values(lowered.outputs).map(({ shape }) => shape));
    parameters.ensure(this.#weights);
    if (options.compile ?? true) this.compile();
  }

  /** All weights, in KerasHub's order: the backbone's, then the head's. */
  get weights(): readonly WeightInfo[] {
    return this.#weights;
  }

  /** The weights that training changes; a frozen backbone's are not among them, and neither is what the head shares with it. */
  get trainableWeights(): readonly WeightInfo[] {
    return this.#weights.filter(({ part, trainable }) => trainable && (part === "head" || this.backbone.trainable));
  }

  /** A task without its backbone's weights is gone too. */
  protected override assertAlive(): void {
    super.assertAlive();
    if (this.backbone?.isDisposed) {
      throw new OnnxHubError("model/disposed", `The backbone of ${this.name} was disposed of`, { remedy: "Make a new model." });
    }
  }

  /** Leaves out columns that are padding in every row, where that changes nothing that the task gives. */
  protected override unpad<T extends Readonly<Record<string, TensorLike>>>(x: T): T {
    const { inputs, head, limits } = this.expanded;
    const padding = this.#padding;
    return padding ? unpadded(x, { ...padding, inputs: { ...inputs, ...head!.inputs }, limit: limits[padding.symbol] ?? Infinity }) : x;
  }

  /** The head's outputs for one batch of named inputs, without preprocessing and without `compile`. */
  async call(x: Readonly<Record<string, TensorLike>>): Promise<Predictions> {
    const { outputs } = await this.infer(x);
    const all = Object.values(outputs);
    return all.length === 1 ? all[0] : outputs;
  }

  /** KerasHub's configuration: name and the head's hyperparameters, and the backbone's under `backbone`. */
  getConfig(): Record<string, ConfigValue | Record<string, ConfigValue>> {
    return { backbone: this.backbone.getConfig(), name: this.name, ...this.config };
  }

  /** Makes a task of the same class from what `getConfig` gave; without a preprocessor, which is given apart. */
  static fromConfig<T extends Task>(
    this: TaskClass<T>,
    config: Readonly<Record<string, ConfigValue | Readonly<Record<string, ConfigValue>>>>,
    options: { readonly preprocessor?: Preprocessor | null } = {},
  ): T {
    const { backbone, ...own } = config;
    if (this.architecture === null) {
      throw new OnnxHubError("model/abstract", "A configuration says nothing of its architecture", {
        remedy: "Call `fromConfig` on the class of an architecture.",
      });
    }
    const made = backboneFromConfig(this.architecture, backbone as Readonly<Record<string, ConfigValue>>);
    const camel = Object.fromEntries(Object.entries(own).map(([key, value]) => [camelCase(key), value]));
    return new this({ ...camel, backbone: made, preprocessor: options.preprocessor ?? null });
  }

  /** The built-in presets for this class, by name: of its architecture, or of all that have this task. */
  static get presets(): Readonly<Record<string, BuiltInPreset>> {
    return presetsOf(this.architecture, this.task);
  }

  /**
   * A task from a preset: a local directory in KerasHub's format, or a checkpoint of Hugging Face transformers.
   *
   * On a base class (`models.MaskedLM`) the class follows from the preset. `loadWeights: false` leaves fresh weights, `preprocessor:
   * null` leaves the preprocessor out; the backbone's and the head's hyperparameters in camelCase override the preset's.
   */
  static async fromPreset<T extends Task, O, A extends string | null>(
    this: (new (options: O) => T) & { readonly task: string | null; readonly architecture: A },
    preset: string,
    options?: TaskLoadOptions<NoInfer<A>, NoInfer<O>>,
  ): Promise<T> {
    if (this.task === null) {
      throw new OnnxHubError("preset/abstract", "Do not call `Task.fromPreset()` directly", {
        remedy: "Call it on a particular task's class, e.g. `models.TextClassifier.fromPreset()`.",
      });
    }
    return await loadTask(this.task, this.architecture, preset, options ?? {}) as T;
  }

  /** Writes a preset directory that KerasHub loads: head, preprocessor and tokenizer with it. A killed save never leaves a broken one. */
  async saveToPreset(directory: string, options: SaveOptions = {}): Promise<void> {
    await this.sync();
    await saveTask(this, directory, options);
  }

  /**
   * Writes a checkpoint that transformers loads, with the head, and the tokenizer if there is a preprocessor: `config.json` and weights as safetensors, in
   * float32 or rounded to float16, in as many files as `maxShardSize` asks for. A killed save leaves the old directory or the new one.
   *
   * Throws "preset/inexpressible" with the hyperparameter that transformers cannot express, and "preset/no-format" for a spec without its names.
   */
  async saveToHuggingFace(directory: string, options: HuggingFaceSaveOptions = {}): Promise<void> {
    await this.sync();
    await saveTaskToHuggingFace(this, directory, options);
  }

  /**
   * Writes a folder that transformers.js' `fill-mask` and `text-classification` pipelines run, and any ONNX Runtime: `onnx/model.onnx`, config and
   * tokenizer.
   *
   * The graph takes int64 `input_ids` and `attention_mask` (and `token_type_ids`) [batch, sequence] and gives float32 `logits`: of a masked language model
   * [batch, sequence, vocabulary], of a classifier [batch, classes]. Rows are padded at their end.
   *
   * Throws "preset/inexpressible" for a task or head that no pipeline runs, "preset/float16" for weights beyond float16, "format/directory-foreign".
   *
   * @example
   * ```ts
   * import { models } from "onnxhub";
   * const tokenizer = new models.XLMRobertaTokenizer({ proto: "examples/data/udhr-8k.spm" });
   * const preprocessor = new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: 16, maskSelectionLength: 4 });
   * const backbone = new models.XLMRobertaBackbone({
   *   vocabularySize: tokenizer.vocabularySize, numLayers: 1, numHeads: 2, hiddenDim: 16, intermediateDim: 32, maxSequenceLength: 16,
   * });
   * const maskedLM = new models.XLMRobertaMaskedLM({ backbone, preprocessor });
   * await maskedLM.exportOnnx("examples/out/declaration-onnx", { dtype: ["float32", "float16"] });
   * await maskedLM.dispose();
   * ```
   */
  async exportOnnx(directory: string, options: OnnxExportOptions = {}): Promise<void> {
    await this.sync();
    await exportOnnx(this, directory, options);
  }

  /**
   * Writes all weights to a file, whole or not at all. A path that ends in `.weights.h5` gives Keras' file, which KerasHub reads, with the optimizer's
   * variables once there are any; `.safetensors` gives the weights under their own paths.
   *
   * Throws "preset/weights-unmapped" or "preset/weights-missing" for a `.weights.h5` of a variant whose weights KerasHub's layout has no place for: a
   * `.safetensors` file holds any model's.
   */
  async saveWeights(path: string): Promise<void> {
    await this.sync();
    return saveWeightsFile(this, path);
  }

  /**
   * Reads what {@linkcode saveWeights} or Keras' `save_weights` wrote, by the path's suffix; all weights or, where something is wrong, none.
   *
   * Where the task is compiled, its optimizer goes on from that of a `.weights.h5` file: iterations, learning rate, slots, so that training goes on as if it had never
   * stopped, dropout included. (Keras wants `optimizer.build` called first.) Another optimizer's variables, or those of other weights, are left out with
   * Keras' warning; a task that isn't compiled leaves out all. To begin anew, call `compile` afterwards.
   *
   * @example
   * ```ts
   * import { models, optimizers } from "onnxhub";
   * const make = () => {
   *   const backbone = new models.BertBackbone({
   *     vocabularySize: 100, numLayers: 1, numHeads: 2, hiddenDim: 16, intermediateDim: 32, maxSequenceLength: 8,
   *   });
   *   const classifier = new models.BertTextClassifier({ backbone, numClasses: 2 });
   *   classifier.compile({ optimizer: new optimizers.Adam(1e-3) });
   *   return classifier;
   * };
   * const x = { token_ids: [[2, 5, 3]], segment_ids: [[0, 0, 0]], padding_mask: [[1, 1, 1]] };
   * const trained = make();
   * await trained.trainOnBatch(x, [1]);
   * await trained.saveWeights("examples/out/declaration.weights.h5");
   * const resumed = make();
   * await resumed.loadWeights("examples/out/declaration.weights.h5");
   * console.log(resumed.optimizerState?.iterations); // 1
   * await trained.dispose();
   * await resumed.dispose();
   * ```
   */
  // deno-lint-ignore require-await -- a promise that rejects, not a throw
  async loadWeights(path: string): Promise<void> {
    this.assertAlive();
    return loadWeightsFile(this, path, this.engine);
  }

  /** See {@linkcode TrainableModel}. */
  protected override checkWeightsPath(path: string): void {
    checkWeightsFile(this, path);
  }

  /** Writes the head's weights to a `.weights.h5` or `.safetensors` file. */
  async saveTaskWeights(path: string): Promise<void> {
    await this.sync();
    return saveTaskWeights(this, path);
  }

  /** Reads the head's weights. */
  // deno-lint-ignore require-await -- a promise that rejects, not a throw
  async loadTaskWeights(path: string): Promise<void> {
    this.assertAlive();
    return loadTaskWeights(this, path);
  }

  /** Keras' summary, as text; also printed unless `print` is false. */
  summary(options: SummaryOptions = {}): string {
    return taskSummary(this, options);
  }
}

function backboneFromConfig(architecture: string, config: Readonly<Record<string, ConfigValue>>): Backbone {
  const { backbone } = classesOf(architecture);
  return new backbone(Object.fromEntries(Object.entries(config).map(([key, value]) => [camelCase(key), value])));
}
