/** Cross-entropy of integer labels: the loss that has an op of its own, for its gradient's sake. */

import { formatShape, sameShape } from "../ir/dims.ts";
import { dtypeError, floats, indexTypes, requireDType, requireInputs, shapeError } from "./checks.ts";
import { emitLogSoftmax } from "./normalization.ts";
import { wrapIndex } from "./reference.ts";
import { int, type OpRule, type OpTable } from "./rule.ts";

const op = "SparseSoftmaxCrossEntropy";

const sparseSoftmaxCrossEntropy: OpRule<typeof op> = {
  infer(inputs) {
    requireInputs(op, inputs, 2);
    const [logits, labels] = inputs;
    requireDType(op, logits.dtype, floats);
    if (!indexTypes.includes(labels.dtype)) dtypeError(op, "int32 or int64 labels", labels.dtype);
    if (logits.shape.length === 0 || !sameShape(logits.shape.slice(0, -1), labels.shape)) {
      shapeError(op, "logits [..., classes] and labels [...]", `${formatShape(logits.shape)} and ${formatShape(labels.shape)}`);
    }
    const { dtype, shape } = logits;
    return [{ dtype, shape: labels.shape }, { dtype, shape }];
  },
  emit(emitter, { inputs: [logits, labels] }, [loss, logProbabilities]) {
    const last = emitter.constant("int64", [1], [-1]);
    emitLogSoftmax(emitter, logits, -1, logProbabilities);
    const [column] = emitter.node("Unsqueeze", [emitter.name(labels), last]);
    const [picked] = emitter.node("GatherElements", [logProbabilities, column], { axis: int(-1) });
    const [flat] = emitter.node("Squeeze", [picked, last]);
    emitter.node("Neg", [flat], {}, [loss]);
  },
  // p·dy, less dy at the labels; and for the second output, what LogSoftmax has.
  gradient: (g, { inputs: [logits, labels], outputs: [, logProbabilities] }, [dy, dLog]) => [() => {
    const probabilities = g.exp(logProbabilities);
    const parts = [];
    if (dy) {
      const column = g.unsqueeze(dy, [-1]);
      const inputs = [g.unsqueeze(labels, [-1]), g.neg(column), g.mul(probabilities, column)];
      parts.push(g.op("ScatterElementsAdd", inputs, { axis: -1, size: logits.shape.at(-1)! })[0]);
    }
    if (dLog) parts.push(g.sub(dLog, g.mul(probabilities, g.sum(dLog, [-1], true))));
    return parts.reduce((sum, part) => g.add(sum, part));
  }, null],
  evaluate([logits, labels]) {
    const classes = logits.shape[logits.shape.length - 1];
    const data = logits.data.slice();
    const loss = new Float64Array(labels.data.length);
    for (let row = 0; row < loss.length; row++) {
      const line = data.subarray(row * classes, (row + 1) * classes);
      const max = Math.max(...line);
      const logSum = max + Math.log(line.reduce((sum, v) => sum + Math.exp(v - max), 0));
      line.forEach((v, i) => line[i] = v - logSum);
      loss[row] = -line[wrapIndex(labels.data[row], classes)];
    }
    return [{ shape: labels.shape, data: loss }, { shape: logits.shape, data }];
  },
};

/** The op in this file. */
export const losses = { SparseSoftmaxCrossEntropy: sparseSoftmaxCrossEntropy } satisfies Partial<OpTable>;
