/** jax-js as a contestant: the training step of the same masked language model, in one jitted function. */

import { type Prepared, serve } from "../serve.ts";
import { initialWeight, inputsOf, weightsOf, type Workload } from "../workload.ts";

/** A package of the peers' own, in no list of the project's. */
const JAX: string = "@jax-js/jax";

/** What is used of jax-js' arrays. Every use of one takes it away, unless it is used as `.ref`. */
interface Nd {
  readonly ref: Nd;
  add(other: Nd | number): Nd;
  sub(other: Nd | number): Nd;
  mul(other: Nd | number): Nd;
  div(other: Nd | number): Nd;
  reshape(shape: readonly number[]): Nd;
  transpose(axes?: readonly number[]): Nd;
  slice(range: readonly [number, number]): Nd;
  sum(): Nd;
  mean(axis?: number, options?: { keepdims?: boolean }): Nd;
  data(): Promise<Float32Array>;
  dispose(): void;
}

type Weights = Record<string, Nd>;

/** What is used of jax-js. */
interface Jax {
  init(...devices: string[]): Promise<string[]>;
  defaultDevice(device: string): string;
  jit<F>(f: F): F;
  valueAndGrad<A extends unknown[]>(f: (...args: A) => Nd): (...args: A) => [Nd, Weights];
  blockUntilReady(tree: unknown): Promise<unknown>;
  readonly numpy: {
    readonly float32: string;
    readonly int32: string;
    array(data: Float32Array | Int32Array, options: { shape: readonly number[]; dtype: string }): Nd;
    zeros(shape: readonly number[]): Nd;
    sqrt(x: Nd): Nd;
    square(x: Nd): Nd;
    matmul(x: Nd, y: Nd): Nd;
    take(x: Nd, indices: Nd, axis: number): Nd;
  };
  readonly nn: {
    gelu(x: Nd, options: { approximate: boolean }): Nd;
    logsumexp(x: Nd, axis: number): Nd;
    dotProductAttention(query: Nd, key: Nd, value: Nd): Nd;
  };
}

const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-7;
const NORM_EPSILON = 1e-5;

/** jax-js has as many threads as it sees cores; where it sees no workers it runs on the calling thread alone. */
async function load(threads: number): Promise<Jax> {
  if (threads === 1) Object.defineProperty(globalThis, "Worker", { value: undefined });
  else Object.defineProperty(navigator, "hardwareConcurrency", { value: threads });
  const jax = await import(JAX) as Jax;
  await jax.init("wasm");
  jax.defaultDevice("wasm");
  return jax;
}

async function prepare(workload: Workload): Promise<Prepared> {
  const { shape, batch, sequence, masks, threads, learningRate } = workload;
  const { vocabularySize, numLayers, numHeads, hiddenDim } = shape;
  const jax = await load(threads);
  const { numpy: np, nn } = jax;
  const { tokenIds, maskPositions, labels } = inputsOf(workload);

  const norm = (w: Weights, name: string, x: Nd): Nd => {
    const centered = x.ref.sub(x.mean(-1, { keepdims: true }));
    const variance = np.square(centered.ref).mean(-1, { keepdims: true });
    return centered.div(np.sqrt(variance.add(NORM_EPSILON))).mul(w[`${name}/gamma`].ref).add(w[`${name}/beta`].ref);
  };
  const dense = (w: Weights, name: string, x: Nd): Nd => np.matmul(x, w[`${name}/kernel`].ref).add(w[`${name}/bias`].ref);
  const gelu = (x: Nd): Nd => nn.gelu(x, { approximate: false });
  const layer = (w: Weights, name: string, x: Nd): Nd => {
    const heads = (of: Nd) => of.reshape([batch, sequence, numHeads, hiddenDim / numHeads]);
    const [query, key, value] = ["query", "key", "value"].map((one) => heads(dense(w, `${name}/self_attention_layer/${one}`, x.ref)));
    const attended = nn.dotProductAttention(query, key, value).reshape([batch * sequence, hiddenDim]);
    const attention = dense(w, `${name}/self_attention_layer/attention_output`, attended);
    const between = norm(w, `${name}/self_attention_layer_norm`, x.add(attention));
    const wide = gelu(dense(w, `${name}/feedforward_intermediate_dense`, between.ref));
    return norm(w, `${name}/feedforward_layer_norm`, between.add(dense(w, `${name}/feedforward_output_dense`, wide)));
  };
  // Its jit fails on the gradient of a gather whose result is only viewed afterwards: multiplying by ones that it doesn't know is not a view.
  const loss = (w: Weights, ids: Nd, masked: Nd, truth: Nd, ones: Nd, share: Nd): Nd => {
    const tokens = np.take(w["embeddings/token_embedding/embeddings"].ref, ids, 0).mul(ones.ref).reshape([batch, sequence, hiddenDim]);
    const places = w["embeddings/position_embedding/embeddings"].ref.slice([0, sequence]);
    let x = norm(w, "embeddings_layer_norm", tokens.add(places).reshape([batch * sequence, hiddenDim]));
    for (let i = 0; i < numLayers; i++) x = layer(w, `transformer_layer_${i}`, x);
    const chosen = np.take(x, masked, 0).mul(ones.slice([0, batch * masks])); // [batch · masks, hidden]
    const head = norm(w, "mlm_head/intermediate_layer_norm", gelu(dense(w, "mlm_head/intermediate_dense", chosen)));
    const logits = np.matmul(head, w["embeddings/token_embedding/embeddings"].ref.transpose()).add(w["mlm_head/output_bias"].ref);
    const right = np.take(logits.ref.reshape([batch * masks * vocabularySize]), truth, 0);
    const result = nn.logsumexp(logits, -1).sub(right).mul(share).sum();
    for (const one of Object.values(w)) one.dispose();
    return result;
  };
  const update = (w: Nd, g: Nd, m: Nd, v: Nd, rate: Nd): [Nd, Nd, Nd] => {
    const nextM = m.mul(BETA_1).add(g.ref.mul(1 - BETA_1));
    const nextV = v.mul(BETA_2).add(np.square(g).mul(1 - BETA_2));
    const nextW = w.sub(nextM.ref.mul(rate).div(np.sqrt(nextV.ref).add(EPSILON)));
    return [nextW, nextM, nextV];
  };
  const step = jax.jit((w: Weights, m: Weights, v: Weights, rate: Nd, ...batch: [Nd, Nd, Nd, Nd, Nd]) => {
    const kept = Object.fromEntries(Object.entries(w).map(([name, one]) => [name, one.ref]));
    const [value, gradients] = jax.valueAndGrad(loss)(w, ...batch);
    const next: [Weights, Weights, Weights] = [{}, {}, {}];
    for (const name of Object.keys(kept)) {
      update(kept[name], gradients[name], m[name], v[name], rate.ref).forEach((one, i) => next[i][name] = one);
    }
    rate.dispose();
    return [value, ...next] as [Nd, Weights, Weights, Weights];
  });

  const float = (data: Float32Array, of: readonly number[]) => np.array(data, { shape: of, dtype: np.float32 });
  const int = (data: Int32Array) => np.array(data, { shape: [data.length], dtype: np.int32 });
  const weights = weightsOf(shape);
  let w: Weights = Object.fromEntries(weights.map(({ path, shape }) => [path, float(initialWeight(path, shape), shape)]));
  let m: Weights = Object.fromEntries(weights.map(({ path, shape }) => [path, np.zeros(shape)]));
  let v: Weights = Object.fromEntries(weights.map(({ path, shape }) => [path, np.zeros(shape)]));
  const ids = int(tokenIds);
  const masked = int(maskPositions.map((position, i) => Math.floor(i / masks) * sequence + position));
  const truth = int(labels.map((label, i) => i * vocabularySize + label));
  const ones = float(new Float32Array(batch * sequence).fill(1), [batch * sequence, 1]);
  const share = float(new Float32Array(batch * masks).fill(1 / (batch * masks)), [batch * masks]);
  let t = 0;
  return {
    facts: { runtime: "jax-js 0.1.25" },
    async step() {
      t++;
      const rate = float(Float32Array.of(learningRate * Math.sqrt(1 - BETA_2 ** t) / (1 - BETA_1 ** t)), []);
      const [value, ...next] = step(w, m, v, rate, ids.ref, masked.ref, truth.ref, ones.ref, share.ref);
      [w, m, v] = next;
      await jax.blockUntilReady([w, m, v]);
      return { facts: { loss: (await value.data())[0] } };
    },
  };
}

await serve(prepare);
