/** TensorFlow.js as a contestant: the training step of the same masked language model, on its backend `wasm` or `cpu`. */

import process from "node:process";
import { type Prepared, serve } from "../serve.ts";
import { initialWeight, inputsOf, weightsOf, type Workload } from "../workload.ts";

/** A package of the peers' own, in no list of the project's. */
const TENSORFLOW: string = "@tensorflow/tfjs";

/** What is used of TensorFlow.js' tensors. */
interface Tensor {
  readonly shape: readonly number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}

type Binary = (a: Tensor, b: Tensor | number) => Tensor;
type Unary = (x: Tensor) => Tensor;
type Reduce = (x: Tensor, axis?: number, keepDims?: boolean) => Tensor;

/** What is used of TensorFlow.js. */
interface TensorFlow extends Readonly<Record<"add" | "sub" | "mul" | "div", Binary>> {
  readonly sqrt: Unary;
  readonly square: Unary;
  readonly erf: Unary;
  readonly softmax: Unary;
  readonly mean: Reduce;
  readonly sum: Reduce;
  readonly logSumExp: Reduce;
  setBackend(name: string): Promise<boolean>;
  tensor(data: Float32Array | Int32Array, shape: readonly number[], dtype: "float32" | "int32"): Tensor;
  variable(value: Tensor): Tensor;
  variableGrads(f: () => Tensor, of: readonly Tensor[]): { readonly value: Tensor };
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  gather(x: Tensor, indices: Tensor): Tensor;
  oneHot(indices: Tensor, depth: number): Tensor;
  cast(x: Tensor, dtype: "float32"): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  transpose(x: Tensor, axes: readonly number[]): Tensor;
  tidy<T>(body: () => T): T;
  readonly train: {
    adam(rate: number, beta1: number, beta2: number, epsilon: number): { minimize(f: () => Tensor, cost: boolean): Tensor };
  };
  readonly version_core: string;
}

type Embed = (table: Tensor, ids: Tensor) => Tensor;

const NORM_EPSILON = 1e-5;

const backend = process.argv[2] as "wasm" | "cpu";

/** The backend, with as many threads as it is to have. */
async function load(threads: number): Promise<TensorFlow> {
  const tf = (await import(TENSORFLOW)).default as TensorFlow;
  if (backend === "wasm") (await import(`${TENSORFLOW}-backend-wasm`)).default.setThreadsCount(threads);
  if (!await tf.setBackend(backend)) throw new Error(`TensorFlow.js has no backend ${backend} here`);
  return tf;
}

async function prepare(workload: Workload): Promise<Prepared> {
  const { shape, batch, sequence, masks, threads, learningRate } = workload;
  const { vocabularySize, numLayers, numHeads, hiddenDim } = shape;
  const tf = await load(threads);
  const { tokenIds, maskPositions, labels } = inputsOf(workload);
  const int = (data: Int32Array): Tensor => tf.tensor(data, [data.length], "int32");
  const w: Record<string, Tensor> = {};
  for (const { path, shape: of } of weightsOf(shape)) w[path] = tf.variable(tf.tensor(initialWeight(path, of), of, "float32"));
  const ids = int(tokenIds);
  const masked = int(maskPositions.map((position, i) => Math.floor(i / masks) * sequence + position));
  const truth = int(labels);
  const size = hiddenDim / numHeads;

  const norm = (name: string, x: Tensor): Tensor => {
    const centered = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.square(centered), -1, true);
    return tf.add(tf.mul(tf.div(centered, tf.sqrt(tf.add(variance, NORM_EPSILON))), w[`${name}/gamma`]), w[`${name}/beta`]);
  };
  const dense = (name: string, x: Tensor): Tensor => tf.add(tf.matMul(x, w[`${name}/kernel`]), w[`${name}/bias`]);
  const gelu = (x: Tensor): Tensor => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.div(x, Math.SQRT2)), 1));
  const layer = (name: string, x: Tensor): Tensor => {
    const [query, key, value] = ["query", "key", "value"].map((one) =>
      tf.transpose(tf.reshape(dense(`${name}/self_attention_layer/${one}`, x), [batch, sequence, numHeads, size]), [0, 2, 1, 3])
    );
    const weights = tf.softmax(tf.div(tf.matMul(query, key, false, true), Math.sqrt(size))); // [batch, heads, sequence, sequence]
    const attended = tf.reshape(tf.transpose(tf.matMul(weights, value), [0, 2, 1, 3]), [batch * sequence, hiddenDim]);
    const between = norm(`${name}/self_attention_layer_norm`, tf.add(x, dense(`${name}/self_attention_layer/attention_output`, attended)));
    const wide = gelu(dense(`${name}/feedforward_intermediate_dense`, between));
    return norm(`${name}/feedforward_layer_norm`, tf.add(between, dense(`${name}/feedforward_output_dense`, wide)));
  };
  const loss = (embed: Embed): Tensor => {
    const table = w["embeddings/token_embedding/embeddings"];
    const tokens = tf.reshape(embed(table, ids), [batch, sequence, hiddenDim]);
    const places = tf.slice(w["embeddings/position_embedding/embeddings"], [0, 0], [sequence, hiddenDim]);
    let x = norm("embeddings_layer_norm", tf.reshape(tf.add(tokens, places), [batch * sequence, hiddenDim]));
    for (let i = 0; i < numLayers; i++) x = layer(`transformer_layer_${i}`, x);
    const head = norm("mlm_head/intermediate_layer_norm", gelu(dense("mlm_head/intermediate_dense", embed(x, masked))));
    const logits = tf.add(tf.matMul(head, table, false, true), w["mlm_head/output_bias"]); // [batch · masks, vocabulary]
    const right = tf.sum(tf.mul(tf.cast(tf.oneHot(truth, vocabularySize), "float32"), logits), -1);
    return tf.mean(tf.sub(tf.logSumExp(logits, -1), right));
  };

  const optimizer = tf.train.adam(learningRate, 0.9, 0.999, 1e-7);
  const runner = (embed: Embed): () => Promise<number> => async () => {
    const value = tf.tidy(() => optimizer.minimize(() => loss(embed), true));
    const [number] = await value.data();
    value.dispose();
    return number;
  };
  const gathering = runner(tf.gather);
  const multiplying = runner((table, indices) => tf.matMul(tf.cast(tf.oneHot(indices, table.shape[0]), "float32"), table));
  let run = gathering;
  let note = "embeddings are gathered";
  try {
    await gradientOfGather(tf);
  } catch (error) {
    run = multiplying;
    note = `embeddings are products with one-hot matrices, as gathered ones cannot be trained: ${(error as Error).message.split("\n")[0]}`;
  }
  return {
    facts: { runtime: `TensorFlow.js ${tf.version_core}`, note },
    step: async () => ({ facts: { loss: await run() } }),
  };
}

/** Throws where the backend has no kernel for the gradient of a gather. */
async function gradientOfGather(tf: TensorFlow): Promise<void> {
  const table = tf.variable(tf.tensor(new Float32Array(4), [2, 2], "float32"));
  const { value } = tf.variableGrads(() => tf.sum(tf.gather(table, tf.tensor(Int32Array.of(1, 0), [2], "int32"))), [table]);
  await value.data();
}

await serve(prepare);
