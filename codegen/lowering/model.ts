/** Lowers an expanded spec, backbone and head, into a graph under construction. */

import { OnnxHubError } from "../../errors.ts";
import type { ExpandedInput, ExpandedLayer, ExpandedNode, ExpandedSpec, ExpandedWeight } from "../../spec/types.ts";
import { GraphBuilder } from "../ir/builder.ts";
import type { Value } from "../ir/types.ts";
import { layerRules, type LoweringContext } from "./layers.ts";
import { join, weightsIn, WeightStore } from "./weights.ts";

/** Where a dropout mask goes in: 0 where an element is dropped, 1 / (1 - rate) where it is kept. */
export interface DropoutSite {
  readonly value: Value;
  readonly rate: number;
}

/** A lowered model: its graph goes on growing (loss, gradients) before it is finished. */
export interface LoweredModel {
  readonly g: GraphBuilder;
  readonly inputs: Readonly<Record<string, { readonly value: Value; readonly spec: ExpandedInput }>>;
  /** The head's outputs, or the backbone's where there is no head. */
  readonly outputs: Readonly<Record<string, Value>>;
  readonly backboneOutputs: Readonly<Record<string, Value>>;
  readonly weights: WeightStore;
  readonly dropouts: readonly DropoutSite[];
  /** What each primitive layer gave, in order: for `explain` and `summary`. */
  readonly layers: readonly LoweredLayer[];
  /** The values by name, as the top level of backbone and head sees them. */
  readonly values: ReadonlyMap<string, Value>;
}

/** One primitive layer as it was lowered. */
export interface LoweredLayer {
  readonly path: string;
  readonly layer: ExpandedLayer;
  readonly output: Value;
  /** Paths of the weights that it uses: its own, those declared beside it, those of others. */
  readonly weights: readonly string[];
  /** The nodes [first, last) of the graph that it became. */
  readonly nodes: readonly [number, number];
}

/** Names in scope. */
type Scope = Map<string, Value>;

/** What stands for an input of the model that isn't to be the graph's own. */
export interface BoundInput {
  readonly value: Value;
  /** The value is all indices of axis 1 in order: what is gathered by it is the whole. */
  readonly every?: boolean;
}

/** How a model is lowered. */
export interface LoweringOptions {
  /** Puts dropout in. */
  readonly training: boolean;
  /** Computes an input of the model from others; null makes it an input of the graph under its own name, as by default all are. */
  readonly bind?: (g: GraphBuilder, name: string, input: ExpandedInput) => BoundInput | null;
}

/** Lowers a model. Shape mismatches are "codegen/shape" errors with the layer's path and both shapes. */
export function lowerModel(spec: ExpandedSpec, { training, bind }: LoweringOptions): LoweredModel {
  const g = new GraphBuilder(spec.head ? `${spec.name}_${spec.head.task}` : spec.name);
  const weights = new WeightStore(g);
  const dropouts: DropoutSite[] = [];
  const layers: LoweredLayer[] = [];
  const inputs: Record<string, { value: Value; spec: ExpandedInput }> = {};
  const scope: Scope = new Map();
  const every = new Set<Value>();
  for (const [name, input] of [...Object.entries(spec.inputs), ...Object.entries(spec.head?.inputs ?? {})]) {
    const bound = bind?.(g, name, input);
    if (bound?.every) every.add(bound.value);
    const value = bound?.value ?? g.input(name, input.dtype, input.shape);
    if (!bound) inputs[name] = { value, spec: input };
    scope.set(name, value);
  }

  const dropout = (x: Value, rate: number): Value => {
    if (!training || rate === 0) return x;
    if (rate >= 1) return g.mul(x, 0);
    const mask = g.input(`dropout/${dropouts.length}`, "float32", x.shape);
    dropouts.push({ value: mask, rate });
    return g.mul(x, mask); // inverted dropout (Srivastava et al. 2014)
  };

  const lookUp = (values: Scope, name: string): Value => {
    const value = values.get(name);
    if (value) return value;
    throw new OnnxHubError("codegen/unknown-value", `No value is called ${name} here`, { path: g.scope });
  };

  const declare = (list: readonly ExpandedWeight[], prefix: string): void => {
    for (const { name, ...declaration } of list) weights.declare(join(prefix, name), declaration);
  };

  /** Lowers one entry: `path` is where it stands (for messages), `prefix` where its weights lie. */
  const lowerNode = (node: ExpandedNode, values: Scope, path: string, prefix: string): void => {
    const here = join(path, node.name);
    const weightsAt = join(prefix, node.weights ?? node.name);
    if ("layer" in node) {
      g.scoped(here, () => {
        const used: string[] = [];
        const context: LoweringContext = {
          g,
          dropout,
          value: (name) => lookUp(values, name),
          isEvery: (value) => every.has(value),
          expression: (expression) => {
            used.push(...weightsIn(expression, prefix));
            return weights.expression(expression, prefix);
          },
          weight: (name, shape, initializer) => {
            used.push(join(weightsAt, name));
            return weights.declare(join(weightsAt, name), { shape, initializer });
          },
        };
        const first = g.nodes.length;
        const rule = layerRules[node.layer] as (layer: ExpandedLayer, context: LoweringContext) => Value;
        const output = rule(node, context);
        values.set(node.name, output);
        layers.push({ path: here, layer: node, output, weights: used, nodes: [first, g.nodes.length] });
      });
      return;
    }
    const block = spec.blocks[node.block];
    const inner: Scope = new Map();
    for (const [name, from] of Object.entries(node.in)) inner.set(name, g.scoped(here, () => lookUp(values, from)));
    weights.ordered(weightsAt, block.weight_order, () => {
      declare(block.weights, weightsAt);
      for (const child of block.layers) lowerNode(child, inner, here, weightsAt);
    });
    const outputs = Object.entries(block.outputs);
    for (const [name, from] of outputs) {
      const value = g.scoped(here, () => lookUp(inner, from));
      values.set(`${node.name}.${name}`, value);
      if (outputs.length === 1) values.set(node.name, value);
    }
  };

  const lowerPart = (part: ExpandedSpec["backbone"]): Record<string, Value> => {
    weights.ordered("", part.weight_order, () => {
      declare(part.weights, "");
      for (const node of part.layers) lowerNode(node, scope, "", "");
    });
    return Object.fromEntries(Object.entries(part.outputs).map(([name, from]) => [name, g.scoped(name, () => lookUp(scope, from))]));
  };

  const backboneOutputs = lowerPart(spec.backbone);
  for (const [name, value] of Object.entries(backboneOutputs)) scope.set(name, value);
  let outputs = backboneOutputs;
  if (spec.head) {
    weights.enter("head");
    outputs = lowerPart(spec.head);
  }
  return { g, inputs, outputs, backboneOutputs, weights, dropouts, layers, values: scope };
}
