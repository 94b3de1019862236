/** How weights are laid out in a checkpoint: as matrices and vectors, whatever axes the spec gives them. */

import type { ExpandedNode, ExpandedSpec } from "../../spec/types.ts";

/** Paths of dense layers' kernels and biases, with the number of axes that a kernel's outputs have. */
function denseLayers({ blocks, backbone, head }: ExpandedSpec): Map<string, number> {
  const outputs = new Map<string, number>();
  const visit = (nodes: readonly ExpandedNode[], scope: string): void => {
    for (const node of nodes) {
      const place = `${scope}${node.weights ?? node.name}/`;
      if ("block" in node) visit(blocks[node.block].layers, place);
      else if (node.layer === "dense") {
        outputs.set(`${place}kernel`, node.units.length);
        outputs.set(`${place}bias`, node.units.length);
      }
    }
  };
  visit(backbone.layers, "");
  visit(head?.layers ?? [], "");
  return outputs;
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/**
 * The shape of each weight with its axes joined as a checkpoint has them: a dense layer's kernel [inputs, outputs], its bias [outputs], any
 * other weight as it is.
 */
export function joinedShapes(
  spec: ExpandedSpec,
  weights: readonly { readonly path: string; readonly shape: readonly number[] }[],
): ReadonlyMap<string, readonly number[]> {
  const dense = denseLayers(spec);
  return new Map(weights.map(({ path, shape }) => {
    const outputs = dense.get(path);
    if (outputs === undefined) return [path, shape];
    const split = shape.length - outputs;
    return [path, split === 0 ? [product(shape)] : [product(shape.slice(0, split)), product(shape.slice(split))]];
  }));
}
