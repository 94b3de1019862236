"""The batch of a workload: the same numbers as `inputsOf` in bench/workload.ts."""

import numpy as np

FIRST_ORDINARY_ID = 5
START = 0
END = 2


def batch_of(workload):
    """Token ids [batch, sequence], mask positions and labels [batch, masks], all int32."""
    vocabulary = workload["shape"]["vocabularySize"]
    rows, columns, masks = workload["batch"], workload["sequence"], workload["masks"]

    def ordinary(count, factor):
        return FIRST_ORDINARY_ID + (factor * (np.arange(count, dtype=np.int64) + 1)) % (vocabulary - 10)

    token_ids = ordinary(rows * columns, 7919).reshape(rows, columns)
    token_ids[:, 0] = START
    token_ids[:, -1] = END
    stride = (columns - 2) // masks
    mask_positions = np.tile(1 + np.arange(masks) * stride, (rows, 1))
    labels = ordinary(rows * masks, 104729).reshape(rows, masks)
    return token_ids.astype("int32"), mask_positions.astype("int32"), labels.astype("int32")
