/** The weights of a model while it is lowered: each a graph input, declared once, shared by path, listed in KerasHub's order. */

import { nearest, OnnxHubError } from "../../errors.ts";
import type { Initializer, WeightExpression } from "../../spec/types.ts";
import type { GraphBuilder } from "../ir/builder.ts";
import { formatShape, sameShape } from "../ir/dims.ts";
import type { Value } from "../ir/types.ts";
import type { WeightInfo } from "../program.ts";

/** What a declaration says beside the path. */
export interface WeightDeclaration {
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  readonly trainable?: boolean;
}

/** Collects the weights of one model. */
export class WeightStore {
  readonly #values = new Map<string, Value>();
  readonly #infos = new Map<string, WeightInfo>();
  readonly #order: string[] = [];

  /** A store whose weights become inputs of `g`. */
  constructor(readonly g: GraphBuilder, private part: "backbone" | "head" = "backbone") {}

  /** Says which part the weights declared from now on belong to. */
  enter(part: "backbone" | "head"): void {
    this.part = part;
  }

  /** The weight at a path: made on first use, the same one ever after; another shape is an error. */
  declare(path: string, { shape, initializer, trainable = true }: WeightDeclaration): Value {
    const known = this.#values.get(path);
    if (known) {
      if (!sameShape(known.shape, shape)) {
        throw new OnnxHubError("codegen/weight-shape", `The weight ${path} is shared by layers that want different shapes`, {
          path: this.g.scope,
          expected: formatShape(known.shape),
          found: formatShape(shape),
          remedy: "Give one of the layers weights of its own.",
        });
      }
      return known;
    }
    const value = this.g.input(path, "float32", shape);
    this.#values.set(path, value);
    this.#infos.set(path, { path, shape, initializer, part: this.part, trainable });
    this.#order.push(path);
    return value;
  }

  /** The value of a weight expression; paths that start with "./" are relative to `scope`. */
  expression(expression: WeightExpression, scope: string): Value {
    const { g } = this;
    if ("ref" in expression) {
      const path = absolute(expression.ref, scope);
      const value = this.#values.get(path);
      if (value) return value;
      const guess = nearest(path, this.#values.keys());
      throw new OnnxHubError("codegen/unknown-weight", `There is no weight ${path}`, {
        path: g.scope,
        remedy: guess ? `Did you mean \`${guess}\`?` : "A weight can be used after the layer that declares it.",
      });
    }
    const operand = (x: WeightExpression | number) => typeof x === "number" ? x : this.expression(x, scope);
    if ("transpose" in expression) {
      const x = this.expression(expression.transpose, scope);
      return g.transpose(x, x.shape.map((_, i) => x.shape.length - 1 - i));
    }
    if ("add" in expression) return g.add(operand(expression.add[0]), operand(expression.add[1]));
    if ("multiply" in expression) return g.mul(operand(expression.multiply[0]), operand(expression.multiply[1]));
    return g.matmul(this.expression(expression.matmul[0], scope), this.expression(expression.matmul[1], scope));
  }

  /** Runs `body`, then puts the weights that it declared into the order of `prefixes` (paths relative to `scope`). */
  ordered(scope: string, prefixes: readonly string[], body: () => void): void {
    const before = this.#order.length;
    body();
    if (prefixes.length === 0) return;
    const rank = (path: string): number => {
      const relative = scope ? path.slice(scope.length + 1) : path;
      const at = prefixes.findIndex((prefix) => relative === prefix || relative.startsWith(`${prefix}/`));
      return at < 0 ? prefixes.length : at;
    };
    const added = this.#order.splice(before).map((path, index) => ({ path, index, rank: rank(path) }));
    added.sort((a, b) => a.rank - b.rank || a.index - b.index);
    for (const { path } of added) this.#order.push(path);
  }

  /** The weights in order. */
  list(): WeightInfo[] {
    return this.#order.map((path) => this.#infos.get(path)!);
  }

  /** The graph input of a weight. */
  value(path: string): Value {
    return this.#values.get(path)!;
  }
}

/** A reference's full path. */
function absolute(ref: string, scope: string): string {
  return ref.startsWith("./") ? join(scope, ref.slice(2)) : ref;
}

/** The full paths of the weights that an expression is over. */
export function weightsIn(expression: WeightExpression, scope: string): string[] {
  if ("ref" in expression) return [absolute(expression.ref, scope)];
  const operands = "transpose" in expression
    ? [expression.transpose]
    : "add" in expression
    ? expression.add
    : "multiply" in expression
    ? expression.multiply
    : expression.matmul;
  return operands.flatMap((operand) => typeof operand === "number" ? [] : weightsIn(operand, scope));
}

/** Joins two parts of a path; either may be empty. */
export function join(a: string, b: string): string {
  return a && b ? `${a}/${b}` : a || b;
}
