/** Finds out whether columns of padding at a batch's end can be left out without changing what a model gives. */

import { symbolsOf } from "./ir/dims.ts";
import type { Shape } from "./ir/types.ts";
import type { ExpandedLayer, ExpandedNode, ExpandedSpec } from "../spec/types.ts";

/** Where a batch's padding shows. */
export interface Padding {
  /** The input that is 0 where there is padding: `padding_mask` [batch, sequence]. */
  readonly mask: string;
  /** The dimension that is padded: `sequence`. */
  readonly symbol: string;
}

type Check = (layer: never) => boolean;
type LayerOf<K extends ExpandedLayer["layer"]> = Extract<ExpandedLayer, { layer: K }>;

/**
 * Whether a layer gives the kept columns the same values whatever padding comes after them. Layers that work on each position by itself do; one that
 * mixes positions must be masked, or begin to count at the front.
 */
const ignoresPadding: { readonly [K in ExpandedLayer["layer"]]: true | ((layer: LayerOf<K>) => boolean) } = {
  embedding: true,
  dense: true,
  norm: true,
  rotary: true,
  activation: true,
  dropout: true,
  add: true,
  multiply: true,
  scale: true,
  gather: true,
  attention: ({ in: { mask } }) => mask !== undefined,
  pool: ({ in: { mask } }) => mask !== undefined,
  take: ({ axis, index }) => axis !== 1 || index >= 0,
  slice: ({ axis }) => axis !== 1,
  concat: ({ axis }) => axis !== 1,
  // These may move the padded axis.
  reshape: () => false,
  transpose: () => false,
};

/**
 * The padding of a model whose outputs and labels don't have the padded dimension, and none of whose layers lets padding through; else null: then
 * a batch must be run as it is. `outputs` are the shapes of what the model gives.
 */
export function paddingOf({ inputs, head, blocks, backbone }: ExpandedSpec, outputs: readonly Shape[]): Padding | null {
  const masks = Object.entries(inputs).filter(([, { fill, shape }]) =>
    fill === "ones" && shape.length === 2 && typeof shape[1] === "string"
  );
  if (masks.length !== 1 || !head) return null;
  const [[mask, { shape }]] = masks;
  const symbol = shape[1] as string;
  if ([head.labels.shape, ...outputs].some((dims) => symbolsOf(dims).has(symbol))) return null;
  const layers = [...backbone.layers, ...head.layers, ...Object.values(blocks).flatMap((block) => block.layers)];
  return layers.every(passes) ? { mask, symbol } : null;
}

function passes(node: ExpandedNode): boolean {
  if (!("layer" in node)) return true;
  const check = ignoresPadding[node.layer] as true | Check;
  return check === true || check(node as never);
}
