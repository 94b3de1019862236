/** Symbolic dimensions: a number times a sorted product of symbols, kept as one canonical string. */

import type { Dim, Shape } from "./types.ts";

interface Monomial {
  readonly factor: number;
  readonly symbols: readonly string[];
}

function parse(dim: Dim): Monomial {
  if (typeof dim === "number") return { factor: dim, symbols: [] };
  const parts = dim.split("*");
  const factor = /^\d+$/.test(parts[0]) ? Number(parts.shift()) : 1;
  return { factor, symbols: parts };
}

function format({ factor, symbols }: Monomial): Dim {
  if (symbols.length === 0 || factor === 0) return factor;
  const product = [...symbols].sort().join("*");
  return factor === 1 ? product : `${factor}*${product}`;
}

/** The product of two dimensions. */
export function multiplyDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a * b;
  if (a === 1) return b;
  if (b === 1) return a;
  const x = parse(a);
  const y = parse(b);
  return format({ factor: x.factor * y.factor, symbols: [...x.symbols, ...y.symbols] });
}

/** The quotient of two dimensions, or null where it isn't a whole monomial. */
export function divideDims(a: Dim, b: Dim): Dim | null {
  const x = parse(a);
  const y = parse(b);
  if (y.factor === 0 || x.factor % y.factor !== 0) return null;
  const symbols = [...x.symbols];
  for (const symbol of y.symbols) {
    const at = symbols.indexOf(symbol);
    if (at < 0) return null;
    symbols.splice(at, 1);
  }
  return format({ factor: x.factor / y.factor, symbols });
}

/** The number of elements of a shape. */
export function sizeOf(shape: Shape): Dim {
  return shape.reduce<Dim>(multiplyDims, 1);
}

/** Whether two shapes are the same, symbol by symbol. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** The symbols in a shape. */
export function symbolsOf(shape: Shape): Set<string> {
  return new Set(shape.flatMap((dim) => parse(dim).symbols));
}

/** NumPy's broadcast of two shapes, or null where they don't go together. Symbols broadcast with themselves and with 1. */
export function broadcastShapes(a: Shape, b: Shape): Shape | null {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x === y || y === 1) result.push(x);
    else if (x === 1) result.push(y);
    else return null;
  }
  return result;
}

/** A dimension's number, given the symbols' values; throws a RangeError for a symbol that has none. */
export function evaluateDim(dim: Dim, symbols: Readonly<Record<string, number>>): number {
  if (typeof dim === "number") return dim;
  const { factor, symbols: names } = parse(dim);
  return names.reduce((product, name) => {
    const value = symbols[name];
    if (value === undefined) throw new RangeError(`no value for the dimension ${name}`);
    return product * value;
  }, factor);
}

/** A shape's numbers, given the symbols' values. */
export function evaluateShape(shape: Shape, symbols: Readonly<Record<string, number>>): number[] {
  return shape.map((dim) => evaluateDim(dim, symbols));
}

/** A shape as people write it: `[batch, sequence, 768]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}
