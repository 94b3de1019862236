/** The paths of an expanded spec's weights, and a check that every weight expression refers to one of them. */

import { nearest, OnnxHubError } from "../errors.ts";
import type { ExpandedLayer, ExpandedNode, ExpandedSpec, ExpandedWeight, LayerName, WeightExpression } from "./types.ts";

type LayerOf<K extends LayerName, L = ExpandedLayer> = L extends { layer: infer N } ? K extends N ? L : never : never;

/** What each kind of layer that owns weights calls them; kinds that are not here own none. */
const OWN_WEIGHTS: { readonly [K in LayerName]?: (layer: LayerOf<K>) => readonly string[] } = {
  embedding: ({ table }) => table ? [] : ["embeddings"],
  dense: ({ kernel, bias, use_bias }) => [...(kernel ? [] : ["kernel"]), ...(use_bias && !bias ? ["bias"] : [])],
  norm: ({ kind, scale, offset }) => kind === "rms" ? (scale ? ["scale"] : []) : [...(scale ? ["gamma"] : []), ...(offset ? ["beta"] : [])],
};

/** A place in the tree of layers. */
interface Visit {
  readonly layer: ExpandedLayer;
  /** Names from the top, for messages. */
  readonly path: string;
  /** Where the weights of the surrounding block lie. */
  readonly scope: string;
}

/** Every weight's path, each once, in the order of the layers (not yet in KerasHub's order). */
export function weightPaths(spec: ExpandedSpec): string[] {
  const paths = new Set<string>();
  walk(spec, {
    declare: (weight, scope) => paths.add(join(scope, weight.name)),
    visit: ({ layer, scope }) => {
      const own = OWN_WEIGHTS[layer.layer] as ((layer: ExpandedLayer) => readonly string[]) | undefined;
      for (const weight of own?.(layer) ?? []) paths.add(join(join(scope, layer.weights ?? layer.name), weight));
    },
  });
  return [...paths];
}

/** Throws "spec/dangling" where a weight expression refers to a weight that is not there. */
export function checkReferences(spec: ExpandedSpec, file: string): void {
  const paths = weightPaths(spec);
  const known = new Set(paths);
  walk(spec, {
    declare: () => {},
    visit: ({ layer, path, scope }) => {
      const expressions = [
        ...(layer.layer === "dense" ? [layer.kernel, layer.bias] : []),
        ...(layer.layer === "embedding" ? [layer.table] : []),
      ];
      for (const reference of expressions.flatMap((expression) => expression ? references(expression) : [])) {
        const weight = reference.startsWith("./") ? join(scope, reference.slice(2)) : reference;
        if (known.has(weight)) continue;
        const guess = nearest(weight, paths);
        throw new OnnxHubError("spec/dangling", `There is no weight \`${weight}\``, {
          path: `${file}: ${path}`,
          remedy: guess ? `Did you mean \`${guess}\`?` : "Name a weight of a layer, or declare one under `weights`.",
        });
      }
    },
  });
}

function references(expression: WeightExpression): string[] {
  if ("ref" in expression) return [expression.ref];
  if ("transpose" in expression) return references(expression.transpose);
  const operands = "add" in expression ? expression.add : "multiply" in expression ? expression.multiply : expression.matmul;
  return operands.flatMap((operand) => typeof operand === "number" ? [] : references(operand));
}

interface Visitor {
  declare(weight: ExpandedWeight, scope: string): void;
  visit(visit: Visit): void;
}

function walk({ blocks, backbone, head }: ExpandedSpec, visitor: Visitor): void {
  const nodes = (list: readonly ExpandedNode[], path: string, scope: string): void => {
    for (const node of list) {
      const here = join(path, node.name);
      if ("layer" in node) {
        visitor.visit({ layer: node, path: here, scope });
        continue;
      }
      const inner = join(scope, node.weights ?? node.name);
      for (const weight of blocks[node.block].weights) visitor.declare(weight, inner);
      nodes(blocks[node.block].layers, here, inner);
    }
  };
  for (const [part, name] of [[backbone, "backbone"], [head, "head"]] as const) {
    if (!part) continue;
    for (const weight of part.weights) visitor.declare(weight, "");
    nodes(part.layers, name, "");
  }
}

function join(a: string, b: string): string {
  return a && b ? `${a}/${b}` : a || b;
}
