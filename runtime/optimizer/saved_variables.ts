/** An optimizer's variables as Keras' files have them: whether they fit, and the state that training goes on from with them. */

import { optimizerNames } from "../../codegen/optimizers/rules.ts";
import type { Optimizer } from "./config.ts";
import { kerasName } from "./options.ts";
import type { TrainedWeight } from "./prepared_weight.ts";
import type { OptimizerSnapshot } from "./snapshot.ts";
import { firstPlaces, type VariablePlace, variablePlaces } from "./variables.ts";

/** A variable in a file. */
export interface SavedVariable {
  readonly shape: readonly number[];
  readonly size: number;
  /** Reads all of it. */
  read(into: Float32Array | Float64Array): void;
}

/** An optimizer in a file. */
export interface SavedOptimizer {
  /** What Keras called it: `adam_1`; undefined where the file doesn't say. */
  readonly name: string | undefined;
  /** In Keras' order; none where the model was saved without an optimizer. */
  readonly variables: readonly SavedVariable[];
}

/** The optimizer that is to go on from it. */
export interface SavedTarget {
  readonly optimizer: Optimizer;
  /** The weights that are to be trained, in order: Keras keeps slots for all of them. */
  readonly weights: readonly TrainedWeight[];
  /** Those of them that get gradients: slots are kept for these alone. Asked for only where slots are saved. */
  readonly trained: () => readonly TrainedWeight[];
  /** Whether there are slots already. */
  readonly hasBegun: boolean;
}

/** What an optimizer goes on from. */
export interface RestoredState extends Omit<OptimizerSnapshot, "tensors"> {
  /** Null where there were no slots yet: they are as they start. */
  readonly tensors: OptimizerSnapshot["tensors"] | null;
}

/**
 * Reads what was saved, where it fits: as in Keras, by the number of the variables and their shapes, and by the optimizer's name where that is another's.
 * (Keras takes an RMSprop's mean squares for an SGD's momenta without a word.) Gives the state, or in words why it doesn't fit.
 */
export function readSaved({ name, variables }: SavedOptimizer, target: SavedTarget): RestoredState | string {
  const { optimizer, weights, trained, hasBegun } = target;
  const first = firstPlaces(optimizer);
  // Saved before it trained, or by one that keeps nothing else.
  const isFirst = !hasBegun && variables.length <= first.length;
  const own = isFirst ? first : variablePlaces(optimizer, trained());
  const all = isFirst ? first : variablePlaces(optimizer, weights);
  const places = misfit(variables, all) === null ? all : own;
  const why = misfit(variables, places) ?? otherOptimizer(name, optimizer);
  if (why !== null) return why;
  const batches = scalar(variables[0]);
  const learningRate = places[1]?.holds === "learning_rate" ? Math.fround(scalar(variables[1])) : null;
  if (!Number.isSafeInteger(batches) || batches < 0 || !Number.isFinite(learningRate ?? 0)) {
    return `the saved optimizer has done ${batches} batches, and its learning rate is ${learningRate}`;
  }
  return { batches, learningRate, tensors: isFirst ? null : readTensors(variables, places, own) };
}

/** Whether that is what an optimizer begins with anyway. */
export function isBeginning({ batches, learningRate, tensors }: RestoredState, optimizer: Optimizer): boolean {
  return tensors === null && batches === 0 && (learningRate === null || learningRate === Math.fround(optimizer.learningRate as number));
}

/** Why variables don't fit their places; null where they do. */
function misfit(variables: readonly SavedVariable[], places: readonly VariablePlace[]): string | null {
  if (variables.length !== places.length) {
    return `it has ${places.length} variables whereas the saved optimizer has ${variables.length} variables`;
  }
  const at = places.findIndex(({ shape }, i) => shape.join() !== variables[i].shape.join());
  if (at < 0) return null;
  const [own, saved] = [places[at].shape, variables[at].shape].map((shape) => `[${shape.join(", ")}]`);
  return `its variable ${places[at].path} is of the shape ${own} whereas the saved one is of the shape ${saved}`;
}

/** Names that aren't Keras' own say nothing. */
function otherOptimizer(name: string | undefined, { className }: Optimizer): string | null {
  const saved = name?.replace(/_\d+$/, "");
  const other = optimizerNames.some((known) => known !== className && kerasName(known) === saved);
  return other ? `it is of the class ${className} whereas the saved optimizer is '${name}'` : null;
}

function scalar(variable: SavedVariable): number {
  const value = new Float64Array(1);
  variable.read(value);
  return value[0];
}

/** The tensors of the optimizer's own places: Keras' slots of weights that get no gradient are left out. */
function readTensors(
  variables: readonly SavedVariable[],
  places: readonly VariablePlace[],
  own: readonly VariablePlace[],
): OptimizerSnapshot["tensors"] {
  const kept = new Set(own.flatMap(({ holds, tensor }) => holds === "tensor" ? [tensor] : []));
  const tensors: Record<string, Float32Array<ArrayBuffer>> = {};
  places.forEach(({ holds, tensor }, i) => {
    if (holds !== "tensor" || !kept.has(tensor)) return;
    tensors[tensor] = new Float32Array(variables[i].size);
    variables[i].read(tensors[tensor]);
  });
  return tensors;
}
