/** The callback that saves weights as training goes. */

import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { OnnxHubError } from "../../errors.ts";
import { fixed } from "../python_format.ts";
import type { Logs } from "./callback.ts";
import { fillTemplate } from "./file_template.ts";
import { checkOptions, MonitorCallback, type MonitorOptions } from "./monitor_callback.ts";

/** What {@linkcode ModelCheckpoint} takes. */
export interface ModelCheckpointOptions extends MonitorOptions {
  /**
   * The file, ending in `.weights.h5`, or in `.safetensors`, which has a place for any model's weights; may hold fields: `{epoch:02d}` (from 1), `{batch}`
   * (from 1), any log `{val_loss:.2f}`.
   */
  readonly filepath: string;
  /** 1 says what it does. Default: 0. */
  readonly verbose?: 0 | 1;
  /** Whether to save only what is better than all before. Default: false. */
  readonly saveBestOnly?: boolean;
  /** Weights are all that is saved: true and false do the same. Default: true. */
  readonly saveWeightsOnly?: boolean;
  /** "epoch", or every how many batches. Default: "epoch". */
  readonly saveFreq?: "epoch" | number;
  /** The value to beat first, with `saveBestOnly`. Default: null. */
  readonly initialValueThreshold?: number | null;
}

/**
 * Saves the weights after every epoch or some number of batches, as Keras' `ModelCheckpoint` with `save_weights_only`.
 *
 * @example
 * ```ts
 * import { callbacks } from "onnxhub";
 * const checkpoint = new callbacks.ModelCheckpoint({
 *   filepath: "checkpoints/{epoch:02d}-{val_loss:.2f}.weights.h5",
 *   saveBestOnly: true,
 * });
 * console.log(checkpoint.monitor); // val_loss
 * ```
 */
export class ModelCheckpoint extends MonitorCallback {
  readonly filepath: string;
  readonly verbose: 0 | 1;
  readonly saveBestOnly: boolean;
  readonly saveFreq: "epoch" | number;
  #epoch = 0;
  #sinceSaving = 0;
  #lastBatch: number | null = null;

  /** Throws "training/checkpoint-path" for a path that ends in neither `.weights.h5` nor `.safetensors`, "training/option" for a wrong `saveFreq`. */
  constructor(options: ModelCheckpointOptions) {
    checkOptions("ModelCheckpoint", options, [
      "filepath",
      "monitor",
      "verbose",
      "saveBestOnly",
      "saveWeightsOnly",
      "mode",
      "saveFreq",
      "initialValueThreshold",
    ]);
    super(options, options.initialValueThreshold ?? null);
    this.filepath = String(options.filepath);
    this.verbose = options.verbose ?? 0;
    this.saveBestOnly = options.saveBestOnly ?? false;
    this.saveFreq = options.saveFreq ?? "epoch";
    if (this.saveFreq !== "epoch" && !(Number.isInteger(this.saveFreq) && this.saveFreq > 0)) {
      throw new OnnxHubError("training/option", `Unrecognized save_freq: ${this.saveFreq}`, {
        path: "ModelCheckpoint.saveFreq",
        expected: '"epoch" or a number of batches',
        found: String(this.saveFreq),
      });
    }
    if (!/\.(weights\.h5|safetensors)$/.test(this.filepath)) throw wrongPath(this.filepath);
  }

  /** Refuses what couldn't be saved, before an epoch is spent on it. */
  override onTrainBegin(): void {
    this.model.checkWeightsPath(this.filepath);
  }

  /** Counts the batches. */
  override async onTrainBatchEnd(batch: number, logs: Logs): Promise<void> {
    if (this.#isDue(batch)) await this.#save(this.#epoch, batch, logs);
  }

  /** Notes the epoch. */
  override onEpochBegin(epoch: number): void {
    this.#epoch = epoch;
  }

  /** Saves. */
  override async onEpochEnd(epoch: number, logs: Logs): Promise<void> {
    this.direction();
    if (this.saveFreq === "epoch") await this.#save(epoch, null, logs);
  }

  #isDue(batch: number): boolean {
    if (this.saveFreq === "epoch") return false;
    this.#sinceSaving += this.#lastBatch === null || batch <= this.#lastBatch ? batch + 1 : batch - this.#lastBatch;
    this.#lastBatch = batch;
    if (this.#sinceSaving < this.saveFreq) return false;
    this.#sinceSaving = 0;
    return true;
  }

  async #save(epoch: number, batch: number | null, logs: Logs): Promise<void> {
    const fields = batch === null ? { ...logs, epoch: epoch + 1 } : { batch: batch + 1, ...logs, epoch: epoch + 1 };
    const path = fillTemplate(this.filepath, fields, "ModelCheckpoint.filepath");
    if (!this.#isWanted(epoch, logs, path)) return;
    if (existsSync(path) && statSync(path).isDirectory()) {
      throw new OnnxHubError("training/checkpoint-path", "Please specify a non-directory filepath for ModelCheckpoint", {
        path: "ModelCheckpoint.filepath",
        expected: "a file's path",
        found: `an existing directory, ${path}`,
      });
    }
    mkdirSync(dirname(path), { recursive: true });
    await this.model.saveWeights(path);
    this.#say(`\nEpoch ${epoch + 1}: finished saving model to ${path}\n`);
  }

  #isWanted(epoch: number, logs: Logs, path: string): boolean {
    if (!this.saveBestOnly) {
      this.#say(`\nEpoch ${epoch + 1}: saving model to ${path}\n`);
      return true;
    }
    const current = this.watched(logs);
    if (current === undefined) {
      this.model.console.warn(`Can save best model only with ${this.monitor} available.`);
      return true;
    }
    const best = this.best === null ? "None" : fixed(this.best, 5);
    if (!this.isImprovement(current, this.best)) {
      this.#say(`\nEpoch ${epoch + 1}: ${this.monitor} did not improve from ${best}\n`);
      return false;
    }
    this.#say(`\nEpoch ${epoch + 1}: ${this.monitor} improved from ${best} to ${fixed(current, 5)}, saving model to ${path}\n`);
    this.best = current;
    return true;
  }

  #say(text: string): void {
    if (this.verbose > 0) this.model.console.write(text);
  }
}

function wrongPath(path: string): OnnxHubError {
  const stem = path.replace(/\.(weights\.h5|keras|h5)$/, "");
  const whole = /\.(keras|h5)$/.test(path);
  return new OnnxHubError(
    "training/checkpoint-path",
    whole
      ? "Whole models aren't saved in Keras' archive formats"
      : "The filepath provided must end in `.weights.h5` (Keras weights format) or `.safetensors`",
    {
      path: "ModelCheckpoint.filepath",
      expected: "a path that ends in .weights.h5 or .safetensors",
      found: path,
      remedy: `Use \`${stem}.weights.h5\`${whole ? ", and saveToPreset for the whole model" : ""}.`,
    },
  );
}
