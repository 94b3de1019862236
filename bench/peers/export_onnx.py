"""Exports a checkpoint's masked language model to ONNX with PyTorch: `export_onnx.py CHECKPOINT OUT.onnx`."""

import sys

import torch
from transformers import AutoModelForMaskedLM

checkpoint, out = sys.argv[1:]
model = AutoModelForMaskedLM.from_pretrained(checkpoint, attn_implementation="eager").eval()


class Logits(torch.nn.Module):
    """What transformers.js feeds and asks for."""

    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


axes = {0: "batch_size", 1: "sequence_length"}
names = ["input_ids", "attention_mask"]
example = torch.ones(2, 8, dtype=torch.int64) * 5
with torch.no_grad():
    torch.onnx.export(
        Logits(),
        (example, torch.ones_like(example)),
        out,
        input_names=names,
        output_names=["logits"],
        dynamic_axes={name: axes for name in [*names, "logits"]},
        opset_version=18,
        do_constant_folding=True,
        dynamo=False,
    )
