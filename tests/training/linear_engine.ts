/** A small engine that is all there: linear regression by hand, with momentum and input noise, in float32. */

import { readFileSync, writeFileSync } from "node:fs";
import { RandomStream } from "../../random.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import type { Batch, BatchResult, Engine, OptimizerHandle } from "../../training/engine.ts";

const f32 = Math.fround;

/** prediction = x · kernel + bias; the loss is the squared error, the metric `within_one` the share of errors below 1. */
export class LinearEngine implements Engine {
  readonly weights;
  readonly optimizer: OptimizerHandle;
  /** Calls of each method, in order. */
  readonly calls: string[] = [];
  readonly #seed: number;
  readonly #noise: number;
  #kernel: Float32Array<ArrayBuffer>;
  #bias: Float32Array<ArrayBuffer>;
  #velocity: Float32Array<ArrayBuffer>;
  #rate = f32(0.05);
  #iterations = 0;

  constructor(inputs: number, { seed = 1, noise = 0 }: { seed?: number; noise?: number } = {}) {
    this.#seed = seed;
    this.#noise = noise;
    this.#kernel = new Float32Array(inputs);
    this.#bias = new Float32Array(1);
    this.#velocity = new Float32Array(inputs + 1);
    const info = { initializer: { type: "zeros" } as never, part: "backbone", trainable: true } as const;
    this.weights = [{ path: "kernel", shape: [inputs], ...info }, { path: "bias", shape: [1], ...info }];
    // deno-lint-ignore no-this-alias
    const engine = this;
    this.optimizer = {
      hasSchedule: false,
      get iterations(): number {
        return engine.#iterations;
      },
      get learningRate(): number {
        return engine.#rate;
      },
      set learningRate(rate: number) {
        engine.#rate = f32(rate);
      },
      finalizeWeights(): Promise<void> {
        engine.calls.push("finalize");
        return Promise.resolve();
      },
    };
  }

  #errors({ x, y }: Batch, noisy: boolean): { inputs: Float32Array; errors: Float32Array } {
    const rows = x.x.shape[0];
    const width = this.#kernel.length;
    const stream = new RandomStream(this.#seed, "noise", this.#iterations);
    const inputs = Float32Array.from(x.x.data, (value, i) => value + (noisy ? this.#noise * stream.normal(i) : 0));
    const errors = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      let sum = this.#bias[0];
      for (let i = 0; i < width; i++) sum = f32(sum + f32(inputs[row * width + i] * this.#kernel[i]));
      errors[row] = sum - Number(y?.data[row] ?? 0);
    }
    return { inputs, errors };
  }

  #result(errors: Float32Array, sampleWeight?: Tensor): BatchResult {
    let loss = 0;
    errors.forEach((error, row) => loss += error * error * Number(sampleWeight?.data[row] ?? 1));
    const within = errors.filter((error) => Math.abs(error) < 1).length;
    return { loss: f32(loss / errors.length), size: errors.length, metrics: { within_one: { total: within, count: errors.length } } };
  }

  trainBatch(batch: Batch): Promise<BatchResult> {
    this.calls.push(`train ${batch.x.x.shape[0]}`);
    const { inputs, errors } = this.#errors(batch, true);
    const width = this.#kernel.length;
    const gradient = new Float32Array(width + 1);
    errors.forEach((error, row) => {
      const slope = f32(2 * error * Number(batch.sampleWeight?.data[row] ?? 1) / errors.length);
      for (let i = 0; i < width; i++) gradient[i] += slope * inputs[row * width + i];
      gradient[width] += slope;
    });
    for (let i = 0; i <= width; i++) {
      this.#velocity[i] = 0.5 * this.#velocity[i] - this.#rate * gradient[i];
      if (i < width) this.#kernel[i] += this.#velocity[i];
      else this.#bias[0] += this.#velocity[i];
    }
    this.#iterations++;
    return Promise.resolve(this.#result(errors, batch.sampleWeight));
  }

  testBatch(batch: Batch): Promise<BatchResult> {
    this.calls.push(`test ${batch.x.x.shape[0]}`);
    return Promise.resolve(this.#result(this.#errors(batch, false).errors, batch.sampleWeight));
  }

  predictBatch(x: Batch["x"]): Promise<Record<string, Tensor>> {
    this.calls.push(`predict ${x.x.shape[0]}`);
    const data = Float32Array.from(this.#errors({ x }, false).errors);
    return Promise.resolve({ output: { dtype: "float32", shape: [data.length, 1], data } });
  }

  getWeights(): Promise<readonly Tensor<"float32">[]> {
    return Promise.resolve([this.#kernel, this.#bias].map((data) => ({ dtype: "float32", shape: [data.length], data: data.slice() })));
  }

  setWeights([kernel, bias]: readonly Tensor<"float32">[]): Promise<void> {
    this.#kernel.set(kernel.data);
    this.#bias.set(bias.data);
    return Promise.resolve();
  }

  saveState(path: string): Promise<void> {
    const state = [this.#kernel, this.#bias, this.#velocity].map((data) => [...data]);
    writeFileSync(path, JSON.stringify({ state, rate: this.#rate, iterations: this.#iterations }));
    return Promise.resolve();
  }

  loadState(path: string): Promise<void> {
    const { state, rate, iterations } = JSON.parse(readFileSync(path, "utf8"));
    [this.#kernel, this.#bias, this.#velocity] = state.map((data: number[]) => Float32Array.from(data));
    this.#rate = rate;
    this.#iterations = iterations;
    return Promise.resolve();
  }

  async saveWeights(path: string): Promise<void> {
    writeFileSync(path, JSON.stringify((await this.getWeights()).map(({ data }) => [...data])));
  }

  loadWeights(path: string): Promise<void> {
    const [kernel, bias] = JSON.parse(readFileSync(path, "utf8")) as number[][];
    this.#kernel.set(kernel);
    this.#bias.set(bias);
    return Promise.resolve();
  }
}

/** `rows` rows of 3 inputs with their targets, the same for the same seed. */
export function linearData(rows: number, seed = 5): { x: Tensor<"float32">; y: Tensor<"float32"> } {
  const stream = new RandomStream(seed, "data");
  const x = Float32Array.from({ length: rows * 3 }, (_, i) => stream.normal(i));
  const y = Float32Array.from({ length: rows }, (_, row) => 2 * x[3 * row] - x[3 * row + 1] + 0.5 * x[3 * row + 2] + 3);
  return { x: { dtype: "float32", shape: [rows, 3], data: x }, y: { dtype: "float32", shape: [rows], data: y } };
}
