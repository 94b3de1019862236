/** The table of all optimizers: one update rule each. */

import { adafactor } from "./adafactor.ts";
import { adam, adamax, adamW, lamb, nadam } from "./adam.ts";
import { adadelta, adagrad, ftrl, lion, rmsprop, sgd } from "./descent.ts";
import { muon } from "./muon.ts";
import type { OptimizerHyperparameters, OptimizerName, UpdateRule } from "./types.ts";

/** Every optimizer's rule, by Keras' class name. */
export const updateRules: { readonly [K in OptimizerName]: UpdateRule<OptimizerHyperparameters[K]> } = {
  Adam: adam,
  AdamW: adamW,
  SGD: sgd,
  RMSprop: rmsprop,
  Adagrad: adagrad,
  Adadelta: adadelta,
  Adamax: adamax,
  Nadam: nadam,
  Ftrl: ftrl,
  Lion: lion,
  Lamb: lamb,
  Adafactor: adafactor,
  Muon: muon,
};

/** The names of all optimizers. */
export const optimizerNames: readonly OptimizerName[] = Object.keys(updateRules) as OptimizerName[];
