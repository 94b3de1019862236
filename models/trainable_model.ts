/** Models that are trained: compiled, fitted, evaluated, asked for predictions. What Keras' `Model` has for that. */

import { OnnxHubError } from "../errors.ts";
import type { Optimizer } from "../runtime/optimizer/config.ts";
import type { History } from "../training/callbacks/history.ts";
import type { Logs } from "../training/callbacks/callback.ts";
import type { TrainingContext } from "../training/context.ts";
import type { ClassWeight, Rows } from "../training/data.ts";
import { evaluate } from "../training/evaluate.ts";
import { fit } from "../training/fit.ts";
import { ModelEngine } from "../training/model_engine.ts";
import { predictOnBatch, testOnBatch, trainOnBatch } from "../training/on_batch.ts";
import type { EvaluateOptions, FitOptions, PredictOptions } from "../training/options.ts";
import { predict, type Predictions } from "../training/predict.ts";
import { type Compilation, type CompileOptions, settle, setupOf } from "./compilation.ts";
import { Model } from "./model.ts";
import type { Preprocessor } from "./preprocessor.ts";

/** A model with a head that is trained. Source: keras.Model. */
export abstract class TrainableModel extends Model {
  #compilation: Compilation | null = null;
  /** Whether a call trains it. */
  #training = false;
  #engine: ModelEngine | null = null;

  /** Texts to inputs, or null. */
  abstract preprocessor: Preprocessor | null;

  /** Writes all weights to a file. */
  abstract saveWeights(path: string): Promise<void>;

  /** Reads what `saveWeights` wrote. */
  abstract loadWeights(path: string): Promise<void>;

  /** Throws where `saveWeights` will refuse a path. */
  protected abstract checkWeightsPath(path: string): void;

  /** Brings weights and the optimizer's state that are on a device to the host. */
  override async sync(): Promise<void> {
    if (!this.#engine) return await super.sync();
    this.assertAlive();
    await this.#engine.sync();
  }

  /**
   * Settles how the model is trained. What is left out, or `"auto"`, is what KerasHub takes for the task (for masked language modeling Adam
   * with 5e-5, cross-entropy from logits, weighted accuracy).
   *
   * Throws "training/unknown-option", "optimizer/unknown", "loss/unknown", "metric/unknown", and "loss/function" for a JavaScript function.
   *
   * @example
   * ```ts
   * import { losses, models, optimizers } from "onnxhub";
   * const backbone = new models.XLMRobertaBackbone({
   *   vocabularySize: 100, numLayers: 1, numHeads: 2, hiddenDim: 16, intermediateDim: 32, maxSequenceLength: 8,
   * });
   * const maskedLM = new models.XLMRobertaMaskedLM({ backbone });
   * maskedLM.compile({
   *   loss: new losses.SparseCategoricalCrossentropy({ fromLogits: true }),
   *   optimizer: new optimizers.Adam(5e-5),
   *   weightedMetrics: ["accuracy"],
   * });
   * await maskedLM.dispose();
   * ```
   */
  compile(options: CompileOptions = {}): void {
    this.assertAlive();
    const compilation = settle(this.expanded.head!, options);
    this.#engine?.dispose();
    this.#engine = null;
    this.#compilation = compilation;
  }

  /** The optimizer that `compile` settled, or null. */
  get optimizer(): Optimizer | null {
    return this.#compilation?.optimizer ?? null;
  }

  /** The running engine, made on first use; null where the model isn't compiled. */
  protected get engine(): ModelEngine | null {
    return this.#compilation && this.#ready();
  }

  #ready(): ModelEngine {
    this.assertAlive();
    const compilation = this.#compilation;
    if (!compilation) {
      throw new OnnxHubError("training/not-compiled", "You must call `compile()` before using the model", {
        path: this.name,
        remedy: "Call `compile()`; without options it takes the task's own.",
      });
    }
    return this.#engine ??= new ModelEngine({
      spec: this.expanded,
      parameters: this.parameters,
      backend: () => this.backend(),
      provider: this.provider,
      syncEvery: typeof this.run.backend === "string" ? undefined : this.run.backend.syncEvery,
      threads: this.run.threads,
      weights: this.weights,
      trainable: () => this.trainableWeights,
      seed: this.run.seed,
      setup: setupOf(compilation),
      infer: (x) => this.infer(x),
      unpad: (x) => this.unpad(x),
      files: {
        check: (path) => this.checkWeightsPath(path),
        save: (path) => this.saveWeights(path),
        load: (path) => this.loadWeights(path),
      },
    });
  }

  /** What the training functions run on. */
  #context(): TrainingContext {
    const engine = this.#ready();
    const metrics = this.#compilation!.metrics.map(({ metric }) => metric);
    const inputs = { ...this.expanded.inputs, ...this.expanded.head!.inputs };
    const { preprocessor } = this;
    return {
      engine,
      seed: this.run.seed,
      preprocess: preprocessor && ((raw, call) => preprocessor.prepare(raw, call)),
      inputs: Object.entries(inputs).map(([name, { fill }]) => ({ name, required: fill === "required" })),
      metricDirections: Object.fromEntries(metrics.map(({ name, direction }) => [name, direction])),
      metricResults: Object.fromEntries(metrics.map(({ name, result }) => [name, result])),
      owner: this,
    };
  }

  /**
   * Trains the model, as Keras' `fit` does; gives the history of losses and metrics.
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
   * const history = await maskedLM.fit({ x: ["All human beings are born free.", "Everyone has the right to life."], epochs: 2 });
   * console.log(history.history.loss);
   * await maskedLM.dispose();
   * ```
   */
  fit(options: FitOptions): Promise<History> {
    return this.#train((context) => fit(context, options));
  }

  /** Loss and metrics over data, without training; in float32 also where the model is quantized. */
  evaluate(options: EvaluateOptions): Promise<Logs> {
    return this.#run((context) => evaluate(context, options));
  }

  /** The outputs for all rows. */
  predict(options: PredictOptions): Promise<Predictions> {
    return this.#run((context) => predict(context, options));
  }

  /** One update on one batch; loss and metrics of this batch alone. */
  trainOnBatch(x: Rows, y?: Rows, sampleWeight?: Rows, classWeight?: ClassWeight): Promise<Logs> {
    return this.#train((context) => trainOnBatch(context, x, y, sampleWeight, classWeight));
  }

  /** Loss and metrics of one batch; in float32 also where the model is quantized. */
  testOnBatch(x: Rows, y?: Rows, sampleWeight?: Rows): Promise<Logs> {
    return this.#run((context) => testOnBatch(context, x, y, sampleWeight));
  }

  /** The outputs of one batch. */
  predictOnBatch(x: Rows): Promise<Predictions> {
    return this.#run((context) => predictOnBatch(context, x));
  }

  // deno-lint-ignore require-await -- what #context throws is to be a rejection
  async #run<T>(body: (context: TrainingContext) => Promise<T>): Promise<T> {
    return body(this.#context());
  }

  async #train<T>(body: (context: TrainingContext) => Promise<T>): Promise<T> {
    if (this.#training) {
      throw new OnnxHubError("model/training", `${this.name} is being trained by another call`, {
        path: this.name,
        expected: "one call that trains at a time",
        remedy: "Await that call first: both would start from the same weights.",
      });
    }
    if (this.quantization === "float32") {
      this.#training = true;
      try {
        return await this.#run(body);
      } finally {
        this.#training = false;
      }
    }
    throw new OnnxHubError(
      "model/quantized",
      `${this.name} infers with weights in ${this.quantization}: it is not to be trained meanwhile`,
      {
        path: this.name,
        expected: "weights in float32",
        found: this.quantization,
        remedy: 'Call `quantize("float32")` first, and `quantize` again once it is trained.',
      },
    );
  }

  /** The optimizer's state, once training has begun or {@linkcode loadWeights} has read one. */
  get optimizerState(): ModelEngine["optimizer"] | null {
    return this.#engine?.hasTrained ? this.#engine.optimizer : null;
  }

  /** Frees the sessions and the weights of its own. */
  override async dispose(): Promise<void> {
    await this.#engine?.dispose();
    this.#engine = null;
    await super.dispose();
  }
}
