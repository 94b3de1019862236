/** What a contestant is asked to do: a model's shape, a batch, and what is measured; the inputs and weights are the same for all. */

/** The size of an encoder in XLM-RoBERTa's shape. */
export interface ModelShape {
  readonly vocabularySize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly hiddenDim: number;
  readonly intermediateDim: number;
  readonly maxSequenceLength: number;
}

/** What one measured step does. */
export type Measured =
  /** One update on one batch of masked tokens: forward, loss, gradients, optimizer. */
  | "training step"
  /** The logits of the masked positions of one batch, dropout off. */
  | "prediction"
  /** The likeliest tokens for the mask in one text, from the string on. */
  | "fill-mask"
  /** From the start of a process to its first filled mask. */
  | "start-up";

/** One piece of work, the same for every contestant. Travels to them as JSON. */
export interface Workload {
  readonly measured: Measured;
  readonly shape: ModelShape;
  /** Rows. */
  readonly batch: number;
  /** Tokens a row. */
  readonly sequence: number;
  /** Masked positions a row: the head is computed there and nowhere else, unless a contestant cannot. */
  readonly masks: number;
  /** The rate; 0 for none. */
  readonly dropout: number;
  /** What a training step updates; everything where nothing is said. */
  readonly trains?: "head";
  readonly optimizer: "adam" | "sgd";
  readonly learningRate: number;
  readonly threads: number;
  /** Steps before the first measured one. */
  readonly warmUp: number;
  /** Whether all contestants start from {@linkcode initialWeight}, so that their losses can be compared. */
  readonly sameWeights: boolean;
  /** What filling masks holds the weights in; float32 where nothing is said. */
  readonly weights?: "int8";
  /** A checkpoint's folder, for {@linkcode Measured} "fill-mask". */
  readonly checkpoint?: string;
  /** The text whose mask is filled. */
  readonly text?: string;
}

/** One batch, rows after each other. */
export interface Inputs {
  readonly tokenIds: Int32Array<ArrayBuffer>; // [batch, sequence]
  readonly maskPositions: Int32Array<ArrayBuffer>; // [batch, masks]
  readonly labels: Int32Array<ArrayBuffer>; // [batch, masks]
}

/** Ids below this are special tokens in XLM-RoBERTa. */
const FIRST_ORDINARY_ID = 5;
const START = 0;
const END = 2;

/** The batch of a workload. `bench/peers/batch.py` computes the same. */
export function inputsOf({ shape: { vocabularySize }, batch, sequence, masks }: Workload): Inputs {
  const ordinary = (i: number, factor: number): number => FIRST_ORDINARY_ID + (factor * (i + 1)) % (vocabularySize - 10);
  const tokenIds = Int32Array.from({ length: batch * sequence }, (_, i) => {
    const column = i % sequence;
    return column === 0 ? START : column === sequence - 1 ? END : ordinary(i, 7919);
  });
  const stride = Math.floor((sequence - 2) / masks);
  const maskPositions = Int32Array.from({ length: batch * masks }, (_, i) => 1 + (i % masks) * stride);
  const labels = Int32Array.from({ length: batch * masks }, (_, i) => ordinary(i, 104729));
  return { tokenIds, maskPositions, labels };
}

/** The first values of a weight by its path in KerasHub: scales 1, biases 0, all else uniform with a deviation of 0.02. */
export function initialWeight(path: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  if (path.endsWith("/gamma")) return values.fill(1);
  if (/(bias|\/beta)$/.test(path)) return values;
  let state = 0x9e3779b9;
  for (let i = 0; i < path.length; i++) state = Math.imul(state ^ path.charCodeAt(i), 0x01000193) >>> 0;
  const width = 0.02 * Math.sqrt(12);
  for (let i = 0; i < values.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = ((state >>> 0) / 2 ** 32 - 0.5) * width;
  }
  return values;
}

/** A weight that {@linkcode weightsOf} lists. */
export interface Weight {
  readonly path: string;
  readonly shape: readonly number[];
}

/** The weights of the masked language model by KerasHub's paths; projections over heads are flat: [in, out]. */
export function weightsOf({ vocabularySize, numLayers, hiddenDim, intermediateDim, maxSequenceLength }: ModelShape): Weight[] {
  const dense = (path: string, rows: number, columns: number): Weight[] => [
    { path: `${path}/kernel`, shape: [rows, columns] },
    { path: `${path}/bias`, shape: [columns] },
  ];
  const norm = (path: string): Weight[] => [{ path: `${path}/gamma`, shape: [hiddenDim] }, { path: `${path}/beta`, shape: [hiddenDim] }];
  const layer = (path: string): Weight[] => [
    ...["query", "key", "value", "attention_output"].flatMap((name) => dense(`${path}/self_attention_layer/${name}`, hiddenDim, hiddenDim)),
    ...norm(`${path}/self_attention_layer_norm`),
    ...norm(`${path}/feedforward_layer_norm`),
    ...dense(`${path}/feedforward_intermediate_dense`, hiddenDim, intermediateDim),
    ...dense(`${path}/feedforward_output_dense`, intermediateDim, hiddenDim),
  ];
  return [
    { path: "embeddings/token_embedding/embeddings", shape: [vocabularySize, hiddenDim] },
    { path: "embeddings/position_embedding/embeddings", shape: [maxSequenceLength, hiddenDim] },
    ...norm("embeddings_layer_norm"),
    ...Array.from({ length: numLayers }, (_, i) => layer(`transformer_layer_${i}`)).flat(),
    { path: "mlm_head/output_bias", shape: [vocabularySize] },
    ...dense("mlm_head/intermediate_dense", hiddenDim, hiddenDim),
    ...norm("mlm_head/intermediate_layer_norm"),
  ];
}
