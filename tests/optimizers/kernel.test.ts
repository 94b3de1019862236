/** The CPU kernels' compiler: every elementwise op, sums in several passes, scalars, tiles, and what it declines. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import type { Value } from "../../codegen/ir/types.ts";
import { TILE } from "../../codegen/optimizers/kernel/lower.ts";
import { RandomStream } from "../../random.ts";
import { Kernel } from "../../runtime/optimizer/kernel.ts";

type Build = (b: GraphBuilder, x: Value, y: Value, s: Value) => Value;

const elementwise: Readonly<Record<string, Build>> = {
  add: (b, x, y) => b.add(x, y),
  sub: (b, x, y) => b.sub(x, y),
  mul: (b, x, y) => b.mul(x, y),
  div: (b, x, y) => b.div(x, y),
  "pow of two tensors": (b, x, y) => b.pow(b.abs(x), y),
  "pow by a scalar of the step": (b, x, _, s) => b.pow(b.abs(x), s),
  "pow 0": (b, x) => b.pow(x, 0),
  "pow 0.5": (b, x) => b.pow(b.abs(x), 0.5),
  "pow -0.5": (b, x) => b.pow(b.add(b.abs(x), 0.1), -0.5),
  "pow 0.7": (b, x) => b.pow(b.abs(x), 0.7),
  "pow 1": (b, x) => b.pow(x, 1),
  "pow 2": (b, x) => b.pow(x, 2),
  "pow -1": (b, x) => b.pow(x, -1),
  max: (b, x, y) => b.max(x, y),
  min: (b, x, y) => b.min(x, y),
  neg: (b, x) => b.neg(x),
  abs: (b, x) => b.abs(x),
  "sign, of zero too": (b, x, y) => b.sign(b.mul(x, b.cast(b.greater(y, 0), "float32"))),
  sqrt: (b, x) => b.sqrt(b.abs(x)),
  exp: (b, x) => b.exp(x),
  log: (b, x) => b.log(b.abs(x)),
  reciprocal: (b, x) => b.reciprocal(x),
  sin: (b, x) => b.sin(x),
  cos: (b, x) => b.cos(x),
  tanh: (b, x) => b.tanh(x),
  sigmoid: (b, x) => b.sigmoid(x),
  relu: (b, x) => b.relu(x),
  erf: (b, x) => b.erf(x),
  softplus: (b, x) => b.softplus(x),
  gelu: (b, x) => b.gelu(x),
  "gelu by tanh": (b, x) => b.gelu(x, true),
  "gelu both ways": (b, x) => b.sub(b.gelu(x, true), b.gelu(x)),
  floor: (b, x) => b.op("Floor", [x], {})[0],
  ceil: (b, x) => b.op("Ceil", [x], {})[0],
  "round, halves to even": (b, x) => b.op("Round", [b.div(b.op("Floor", [b.mul(x, 4)], {})[0], 2)], {})[0],
  "where on a comparison": (b, x, y) => b.where(b.less(x, y), x, b.mul(y, 2)),
  "where on a scalar condition": (b, x, y, s) => b.where(b.greater(s, 1), x, y),
  "comparisons and logic": (b, x, y) =>
    b.cast(b.or(b.and(b.lessOrEqual(x, y), b.greaterOrEqual(x, 0)), b.not(b.equal(b.sign(x), b.sign(y)))), "float32"),
  "a stopped gradient": (b, x) => b.stopGradient(x),
  "scalars among themselves": (b, x, _, s) => b.mul(x, b.add(b.sqrt(s), b.pow(s, 3))),
};

/** Runs a kernel and the reference on the same values; returns both results. */
function both(build: Build, size: number, s = 1.5): { kernel: Float32Array; reference: Float64Array } {
  const b = new GraphBuilder("test");
  const [x, y, scale] = [b.input("x", "float32", [size]), b.input("y", "float32", [size]), b.input("s", "float32", [])];
  b.output("next_z", build(b, x, y, scale));
  const graph = b.finish();
  const [first, second] = ["x", "y"].map((name) => {
    const stream = new RandomStream(3, name);
    return Float32Array.from({ length: size }, (_, i) => stream.normal(i));
  });
  const z = new Float32Array(size);
  const compiled = Kernel.compile(graph, [size]);
  assert.ok(compiled);
  compiled.run({ x: first, y: second, z }, { s });
  const feed = (data: Float32Array, shape: number[]) => ({ shape, data: Float64Array.from(data) });
  const { next_z } = evaluate(graph, { x: feed(first, [size]), y: feed(second, [size]), s: feed(Float32Array.of(s), []) });
  return { kernel: z, reference: next_z.data };
}

function assertNear(kernel: Float32Array, reference: Float64Array, tolerance: number): void {
  assert.equal(kernel.length, reference.length);
  for (let i = 0; i < kernel.length; i++) {
    const difference = Math.abs(kernel[i] - reference[i]);
    assert.ok(difference <= tolerance * Math.max(1, Math.abs(reference[i])), `element ${i}: ${kernel[i]} is not ${reference[i]}`);
  }
}

describe("CPU kernels", () => {
  for (const [name, build] of Object.entries(elementwise)) {
    it(`${name} gives the reference's values`, () => {
      const { kernel, reference } = both(build, 21);
      assertNear(kernel, reference, 1e-6);
    });
  }

  for (const size of [1, 3, 4, 5, TILE - 1, TILE, TILE + 1, 2 * TILE + 6]) {
    it(`${size} elements are all computed, sums counting none beyond them`, () => {
      // The root of the sum of x + 1 would count every element of padding; each pass needs the one before.
      const build: Build = (b, x) => b.sub(b.div(x, b.sqrt(b.sum(b.square(b.add(x, 1))))), b.mean(b.sub(x, b.mean(x))));
      const { kernel, reference } = both(build, size);
      assertNear(kernel, reference, 1e-6);
    });
  }

  it("a tensor may be read and replaced by one output while another output reads it too, in several passes", () => {
    const b = new GraphBuilder("test");
    const [w, m] = [b.input("w", "float32", [6]), b.input("m", "float32", [6])];
    const next = b.add(b.mul(m, 0.5), w);
    b.output("next_m", next);
    b.output("next_w", b.sub(w, b.div(next, b.sum(next))));
    b.output("total", b.sum(b.mul(w, m)));
    const tensors = { w: Float32Array.of(1, 2, 3, 4, 5, 6), m: Float32Array.of(2, 2, 2, 2, 2, 2) };
    const { total } = Kernel.compile(b.finish(), [6])!.run(tensors, {});
    assert.equal(total, 42);
    assert.deepEqual([...tensors.m], [2, 3, 4, 5, 6, 7]);
    assert.deepEqual([...tensors.w], [1, 2, 3, 4, 5, 6].map((x) => Math.fround(x - Math.fround((x + 1) / 27))));
  });

  it("NaN and infinity go through as in IEEE arithmetic", () => {
    const b = new GraphBuilder("test");
    const x = b.input("x", "float32", [4]);
    b.output("next_a", b.max(x, 0));
    b.output("next_b", b.sign(x));
    b.output("next_c", b.div(x, x));
    const make = () => new Float32Array(4);
    const tensors = { x: Float32Array.of(NaN, Infinity, -Infinity, 0), a: make(), b: make(), c: make() };
    Kernel.compile(b.finish(), [4])!.run(tensors, {});
    assert.deepEqual([...tensors.a], [NaN, Infinity, 0, 0]);
    assert.deepEqual([...tensors.b], [NaN, 1, -1, 0]);
    assert.deepEqual([...tensors.c], [NaN, NaN, NaN, NaN]);
  });

  it("arithmetic is float32's: every operation rounds", () => {
    const b = new GraphBuilder("test");
    const x = b.input("x", "float32", [1]);
    b.output("next_x", b.sub(b.add(x, 16777216), 16777216));
    const tensors = { x: Float32Array.of(1.4) };
    Kernel.compile(b.finish(), [1])!.run(tensors, {});
    assert.equal(tensors.x[0], 2);
  });

  it("graphs that need rows, products or broadcasting are declined", () => {
    const declined: ((b: GraphBuilder, x: Value) => Value)[] = [
      (b, x) => b.matmul(x, x),
      (b, x) => b.add(x, b.mean(x, [1], true)),
      (b, x) => b.transpose(x, [1, 0]),
      (b, x) => b.add(x, b.input("row", "float32", [3])),
      (b, x) => b.cast(b.cast(x, "int32"), "float32"),
    ];
    for (const build of declined) {
      const b = new GraphBuilder("test");
      b.output("next_x", build(b, b.input("x", "float32", [3, 3])));
      assert.equal(Kernel.compile(b.finish(), [3, 3]), null);
    }
  });
});
