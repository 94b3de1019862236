/** Losses and metrics that users write as expressions over the graph's ops: `mean(square(y_true - y_pred), axis=-1)`. */

import { nearest, OnnxHubError } from "../errors.ts";
import { type ExpressionNode, parseExpression } from "../spec/expression_tree.ts";
import type { GraphBuilder } from "./ir/builder.ts";
import type { Value } from "./ir/types.ts";

type Argument = Value | number;
/** Positional arguments, then what was given by name. */
type Call = (g: GraphBuilder, args: readonly Argument[], named: Readonly<Record<string, Argument>>) => Value;

const one = (f: (g: GraphBuilder, x: Value) => Value): Call => (g, [x]) => f(g, asValue(g, x));
const two = (f: (g: GraphBuilder, a: Argument, b: Argument) => Value): Call => (g, [a, b]) => f(g, a, b);

/** A reduction over `axis` (default: all axes), optionally kept. */
function reduction(op: "ReduceSum" | "ReduceMean" | "ReduceMax"): Call {
  return (g, [x], { axis, keepdims }) => {
    const value = asValue(g, x);
    const rank = value.shape.length;
    const axes = typeof axis === "number" ? [axis < 0 ? rank + axis : axis] : value.shape.map((_, i) => i);
    return g.op(op, [value], { axes, keepDims: keepdims === 1 })[0];
  };
}

/** What an expression can call. */
const functions: Readonly<Record<string, Call>> = {
  abs: one((g, x) => g.abs(x)),
  square: one((g, x) => g.square(x)),
  sqrt: one((g, x) => g.sqrt(x)),
  exp: one((g, x) => g.exp(x)),
  log: one((g, x) => g.log(x)),
  sin: one((g, x) => g.sin(x)),
  cos: one((g, x) => g.cos(x)),
  tanh: one((g, x) => g.tanh(x)),
  sigmoid: one((g, x) => g.sigmoid(x)),
  softplus: one((g, x) => g.softplus(x)),
  relu: one((g, x) => g.relu(x)),
  erf: one((g, x) => g.erf(x)),
  sign: one((g, x) => g.sign(x)),
  softmax: one((g, x) => g.softmax(x)),
  log_softmax: one((g, x) => g.logSoftmax(x)),
  stop_gradient: one((g, x) => g.stopGradient(x)),
  float: one((g, x) => g.cast(x, "float32")),
  argmax: one((g, x) => g.argMax(x)),
  maximum: two((g, a, b) => g.max(a, b)),
  minimum: two((g, a, b) => g.min(a, b)),
  equal: two((g, a, b) => g.equal(a, b)),
  where: (g, [condition, a, b]) => g.where(asValue(g, condition), a, b),
  pick: (g, [x, index]) => g.squeeze(g.gatherElements(asValue(g, x), g.unsqueeze(asValue(g, index), [-1]), -1), [-1]),
  sum: reduction("ReduceSum"),
  mean: reduction("ReduceMean"),
  max: reduction("ReduceMax"),
};

const binary: Readonly<Record<string, (g: GraphBuilder, a: Argument, b: Argument) => Value>> = {
  "+": (g, a, b) => g.add(a, b),
  "-": (g, a, b) => g.sub(a, b),
  "*": (g, a, b) => g.mul(a, b),
  "/": (g, a, b) => g.div(a, b),
  "**": (g, a, b) => g.pow(a, b),
  "<": (g, a, b) => g.less(a, b),
  "<=": (g, a, b) => g.lessOrEqual(a, b),
  ">": (g, a, b) => g.greater(a, b),
  ">=": (g, a, b) => g.greaterOrEqual(a, b),
  "==": (g, a, b) => g.equal(a, b),
  and: (g, a, b) => g.and(asValue(g, a), asValue(g, b)),
  or: (g, a, b) => g.or(asValue(g, a), asValue(g, b)),
};

function asValue(g: GraphBuilder, x: Argument): Value {
  return typeof x === "number" ? g.constant(x) : x;
}

/**
 * Builds an expression into a graph.
 *
 * Operators `+ - * / ** < <= > >= == and or not`; functions abs, square, sqrt, exp, log, sin, cos, tanh, sigmoid, softplus, relu, erf,
 * sign, softmax, log_softmax, argmax, maximum, minimum, equal, where, pick (the element that an index picks from the last axis), float, stop_gradient,
 * and sum, mean, max with `axis` and `keepdims`. Throws "codegen/expression" for anything else, with the nearest name.
 */
export function buildExpression(g: GraphBuilder, text: string, names: Readonly<Record<string, Value>>, path: string): Value {
  const fail = (what: string, known: Iterable<string>, found: string): never => {
    const guess = nearest(found, known);
    throw new OnnxHubError("codegen/expression", what, {
      path,
      expected: `one of ${[...known].join(", ")}`,
      found,
      remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
    });
  };
  const visit = (node: ExpressionNode): Argument => {
    switch (node.type) {
      case "IntegerLiteral":
      case "FloatLiteral":
        return node.value;
      case "Identifier":
        if (node.value === "true" || node.value === "True") return 1;
        if (node.value === "false" || node.value === "False") return 0;
        return names[node.value] ?? fail("Unknown name in an expression", Object.keys(names), node.value);
      case "UnaryExpression": {
        const x = visit(node.argument);
        if (node.operator.value === "not") return g.not(asValue(g, x));
        return typeof x === "number" ? -x : g.neg(x);
      }
      case "BinaryExpression": {
        const [a, b] = [visit(node.left), visit(node.right)];
        const build = binary[node.operator.value] ?? fail("Unknown operator in an expression", Object.keys(binary), node.operator.value);
        if (typeof a === "number" && typeof b === "number") return build(g, g.constant(a), b);
        return build(g, a, b);
      }
      case "CallExpression": {
        const name = node.callee.type === "Identifier" ? node.callee.value : "";
        const call = functions[name] ?? fail("Unknown function in an expression", Object.keys(functions), name);
        const positional: Argument[] = [];
        const named: Record<string, Argument> = {};
        for (const argument of node.args) {
          if (argument.type === "KeywordArgumentExpression") named[argument.key.value] = visit(argument.value);
          else positional.push(visit(argument));
        }
        if (positional.length === 0) fail(`${name} needs an argument`, [`${name}(x)`], `${name}()`);
        return call(g, positional, named);
      }
      default:
        return fail("This can't stand in an expression over tensors", ["names", "numbers", "operators", "calls"], node.type);
    }
  };
  return asValue(g, visit(parseExpression(text, path)));
}
