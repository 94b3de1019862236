"""Quantizes a checkpoint's exported model as those on the hub are, weights in int8: `quantize_onnx.py CHECKPOINT OUT.onnx`."""

import os
import sys
import tempfile

from onnxruntime.quantization import QuantType, quantize_dynamic

checkpoint, out = sys.argv[1:]
with tempfile.TemporaryDirectory(dir=checkpoint) as folder:
    # It leaves the graph with inferred shapes beside its input, which is so a link to the model.
    model = os.path.join(folder, "model.onnx")
    os.link(os.path.join(checkpoint, "onnx", "model.onnx"), model)
    quantize_dynamic(model, out, weight_type=QuantType.QInt8)
