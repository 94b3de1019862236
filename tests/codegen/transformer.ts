/** A small masked language model's training graph, written with the builder: many ops at once, for the tests of passes and encoding. */

import { gradients } from "../../codegen/autodiff.ts";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import type { Graph, Value } from "../../codegen/ir/types.ts";
import type { ReferenceTensor } from "../../codegen/ops/rule.ts";

const [vocabulary, width, heads, positions] = [11, 4, 2, 6];

/** One attention block, tied embeddings, loss, and the gradients of all weights, or of the head's only. */
export function transformer({ frozen = false } = {}): Graph {
  const g = new GraphBuilder("transformer");
  const tokens = g.input("token_ids", "int32", ["batch", "sequence"]);
  const mask = g.input("padding_mask", "int32", ["batch", "sequence"]);
  const places = g.input("positions", "int32", ["sequence"]);
  const labels = g.input("labels", "int32", ["batch", "sequence"]);
  const keep = g.input("keep", "bool", ["batch", "sequence", width]);
  const weights: Value[] = [];
  const weight = (name: string, ...shape: number[]): Value => {
    const value = g.input(name, "float32", shape);
    weights.push(value);
    return value;
  };
  const dense = (x: Value, name: string, from: number, to: number): Value =>
    g.scoped(name, () => g.add(g.matmul(x, weight(`${name}/kernel`, from, to)), weight(`${name}/bias`, to)));
  const norm = (x: Value, name: string): Value =>
    g.scoped(name, () => g.op("LayerNorm", [x, weight(`${name}/gamma`, width), weight(`${name}/beta`, width)], { epsilon: 1e-5 })[0]);
  const split = (x: Value): Value => g.transpose(g.reshape(x, ["batch", "sequence", heads, width / heads]), [0, 2, 1, 3]);

  const table = weight("embedding", vocabulary, width);
  const embedded = g.add(g.gather(table, tokens), g.gather(weight("position", positions, width), places));
  const x = norm(g.mul(embedded, g.mul(g.cast(keep, "float32"), 1 / 0.9)), "embedding_norm");
  const [query, key, value] = ["query", "key", "value"].map((name) => split(dense(x, name, width, width)));
  const allowed = g.equal(g.reshape(mask, ["batch", 1, 1, "sequence"]), 1);
  const scores = g.where(allowed, g.mul(g.matmul(query, key, { transB: true }), Math.sqrt(heads / width)), -1e9); // [batch, heads, query, key]
  const mixed = g.matmul(g.softmax(scores), value);
  const attended = dense(g.reshape(g.transpose(mixed, [0, 2, 1, 3]), ["batch", "sequence", width]), "output", width, width);
  const hidden = norm(g.add(x, attended), "attention_norm");
  const head = weights.length;
  const logits = g.matmul(g.gelu(dense(hidden, "head", width, width)), table, { transB: true });
  const loss = g.mean(g.op("SparseSoftmaxCrossEntropy", [logits, labels], {})[0]);
  g.output("loss", loss);
  const wrt = frozen ? weights.slice(head) : weights;
  gradients(g, loss, g.constant(1), wrt).forEach((gradient, i) => g.output(`gradient of ${wrt[i].name}`, gradient!));
  return g.finish();
}

/** Feeds for it. */
export function transformerFeeds(graph: Graph, batch = 2, sequence = 3): Record<string, ReferenceTensor> {
  const sizes: Record<string, number> = { batch, sequence };
  return Object.fromEntries(graph.inputs.map(({ name, dtype, shape: dims }, which) => {
    const shape = dims.map((dim) => typeof dim === "number" ? dim : sizes[dim]);
    const size = shape.reduce((product, dim) => product * dim, 1);
    const number = (i: number): number => {
      if (dtype === "float32") return Math.fround(Math.sin(1 + i * 1.7 + which * 0.9));
      if (name === "positions") return i;
      return dtype === "bool" || name === "padding_mask" ? Number(i % 4 !== 3) : (i * 5 + which) % vocabulary;
    };
    return [name, { shape, data: Float64Array.from({ length: size }, (_, i) => number(i)) }];
  }));
}
