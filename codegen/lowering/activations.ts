/** Activation functions by Keras' names, as graph ops. */

import type { ActivationName } from "../../spec/types.ts";
import type { GraphBuilder } from "../ir/builder.ts";
import type { Value } from "../ir/types.ts";

/** One function a name. Sources: keras.activations; `quick_gelu` is CLIP's x·σ(1.702x). */
export const activations: Readonly<Record<ActivationName, (g: GraphBuilder, x: Value) => Value>> = {
  linear: (_, x) => x,
  relu: (g, x) => g.relu(x),
  gelu: (g, x) => g.gelu(x, false),
  gelu_approximate: (g, x) => g.gelu(x, true),
  quick_gelu: (g, x) => g.mul(x, g.sigmoid(g.mul(x, 1.702))),
  silu: (g, x) => g.mul(x, g.sigmoid(x)),
  tanh: (g, x) => g.tanh(x),
  sigmoid: (g, x) => g.sigmoid(x),
  softmax: (g, x) => g.softmax(x, -1),
  softplus: (g, x) => g.softplus(x),
  exp: (g, x) => g.exp(x),
};
