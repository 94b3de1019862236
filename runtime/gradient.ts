/** Gradients as a backward pass leaves them: whole, or in terms that are put together as many rows at a time as suits who takes them. */

import { GraphBuilder } from "../codegen/ir/builder.ts";
import { encode } from "../codegen/onnx/encode.ts";
import type { Backend, FeedTensor, Session } from "./backend.ts";
import { release } from "./release.ts";

/** Consecutive elements of a gradient. */
export interface GradientPart {
  /** Of the first element. */
  readonly offset: number;
  readonly data: Float32Array<ArrayBuffer>;
}

/** A gradient in terms. */
export interface Gradient {
  /** Elements in all. */
  readonly length: number;
  /** All elements, in order, each once; a part's data is freed before the next comes. */
  parts(): AsyncIterable<GradientPart>;
}

/** What is added to some rows: `rows` [n, width] at `indices` [n], added in order where an index repeats. */
export interface RowsTerm {
  readonly indices: Int32Array<ArrayBuffer>;
  readonly rows: Float32Array<ArrayBuffer>;
}

/** leftᵀ · right, of left [n, rows] and right [n, width]. */
export interface ProductTerm {
  readonly left: FeedTensor;
  readonly right: FeedTensor;
}

/** The terms of a gradient of shape [rows, width] that add up to it. */
export interface GradientTerms {
  product?: Partial<ProductTerm>;
  dense?: Float32Array<ArrayBuffer>;
  readonly rows: RowsTerm[];
}

/** The elements that are put together at a time: few enough to stay in the processor's caches until the weight has been updated. */
export const PART = 2 ** 20;

/** A gradient of shape [rows, width] in terms. `multiply` gives leftᵀ · right. */
export class GradientInTerms implements Gradient {
  readonly length: number;
  readonly #rows: number;
  readonly #width: number;
  readonly #terms: GradientTerms;
  readonly #multiply: Multiply;

  /** Takes the terms over. */
  constructor([rows, width]: readonly number[], terms: GradientTerms, multiply: Multiply) {
    this.#rows = rows;
    this.#width = width;
    this.length = rows * width;
    this.#terms = terms;
    this.#multiply = multiply;
  }

  /** See {@linkcode Gradient}. */
  async *parts(): AsyncIterable<GradientPart> {
    const { product, dense, rows } = this.#terms;
    const width = this.#width;
    const count = Math.max(1, Math.min(this.#rows, Math.floor(PART / width)));
    const sorted = rows.map(inOrderOfRows);
    const next = rows.map(() => 0);
    for (let from = 0; from < this.#rows; from += count) {
      const to = Math.min(from + count, this.#rows);
      let data: Float32Array<ArrayBuffer>;
      if (dense) data = dense.subarray(from * width, to * width);
      else if (product) data = await this.#product(product as ProductTerm, from, to);
      else data = new Float32Array((to - from) * width);
      rows.forEach(({ indices, rows: values }, term) => {
        const order = sorted[term];
        for (; next[term] < order.length && indices[order[next[term]]] < to; next[term]++) {
          const source = order[next[term]];
          const at = (indices[source] - from) * width;
          for (let i = 0; i < width; i++) data[at + i] += values[source * width + i];
        }
      });
      yield { offset: from * width, data };
      if (!dense) release(data);
    }
  }

  async #product({ left, right }: ProductTerm, from: number, to: number): Promise<Float32Array<ArrayBuffer>> {
    const some = columns(left, from, to);
    const product = await this.#multiply(some, right);
    release(some.data);
    return product;
  }

  /** Frees the terms; nothing can be put together any more. */
  release(): void {
    const { product, dense, rows } = this.#terms;
    for (const data of [product?.left?.data, product?.right?.data, dense, ...rows.map((term) => term.rows)]) if (data) release(data);
  }
}

/** All of a gradient in one array. */
export async function wholeGradient(gradient: Gradient): Promise<Float32Array<ArrayBuffer>> {
  const whole = new Float32Array(gradient.length);
  for await (const { offset, data } of gradient.parts()) whole.set(data, offset);
  return whole;
}

/** Places in order of their rows; those of one row stay in order. */
function inOrderOfRows({ indices }: RowsTerm): Uint32Array {
  return Uint32Array.from(indices.keys()).sort((a, b) => indices[a] - indices[b] || a - b);
}

/** Columns [from, to) of a matrix [n, columns]. */
function columns({ shape: [n, all], data }: FeedTensor, from: number, to: number): FeedTensor {
  const some = new Float32Array(n * (to - from));
  for (let row = 0; row < n; row++) some.set((data as Float32Array).subarray(row * all + from, row * all + to), row * (to - from));
  return { dtype: "float32", shape: [n, to - from], data: some };
}

/** leftᵀ · right, of left [n, rows] and right [n, width]; to be released. */
export type Multiply = (left: FeedTensor, right: FeedTensor) => Promise<Float32Array<ArrayBuffer>>;

/** The product of gradient factors on a backend: a graph that is loaded when it is first needed. */
export class FactorProduct {
  #session: Promise<Session> | null = null;

  /** Nothing is loaded yet. */
  constructor(private readonly backend: () => Promise<Backend>) {}

  /** See {@linkcode Multiply}. */
  readonly multiply: Multiply = async (left, right) => {
    this.#session ??= this.backend().then((backend) => backend.load(productModel(), "gradient product"));
    const { product } = await (await this.#session).run({ left, right }, undefined, new Set(["product"]));
    return product.data as Float32Array<ArrayBuffer>;
  };

  /** Frees the graph. */
  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await (await session?.catch(() => null))?.dispose();
  }
}

function productModel(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder("gradient_product");
  const [left, right] = [g.input("left", "float32", ["n", "rows"]), g.input("right", "float32", ["n", "width"])];
  g.output("product", g.matmul(left, right, { transA: true })); // [rows, width]
  return encode(g.finish());
}
