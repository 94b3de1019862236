"""The yardstick of bench/webgpu.ts: the same training steps in PyTorch on the same GPU, in float32, TF32 off and on. `python3 bench/webgpu_pytorch.py`."""

import json
import statistics
import time

import torch
import transformers
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

VOCABULARY = 250002


def batch_of(rows, columns, masks):
    """The same numbers as makeBatch in bench/webgpu.ts."""
    ordinary = lambda count, factor: 5 + (factor * (torch.arange(count) + 1)) % (VOCABULARY - 10)
    stride = (columns - 2) // masks
    token_ids = ordinary(rows * columns, 7919).reshape(rows, columns)
    positions = (1 + torch.arange(masks) * stride).repeat(rows, 1)
    labels = ordinary(rows * masks, 104729).reshape(rows, masks)
    return [tensor.cuda() for tensor in (token_ids, positions, labels)]


def steps(model, optimizer, batch, count):
    token_ids, positions, labels = batch
    rows = torch.arange(token_ids.shape[0], device="cuda")[:, None]
    padding_mask = torch.ones_like(token_ids)
    times = []
    for i in range(count + 5):
        torch.cuda.synchronize()
        start = time.perf_counter()
        hidden = model.roberta(input_ids=token_ids, attention_mask=padding_mask).last_hidden_state
        logits = model.lm_head(hidden[rows, positions])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()
        torch.cuda.synchronize()
        if i >= 5:
            times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


results = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "transformers": transformers.__version__}
for tf32 in (False, True):
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.manual_seed(0)
    model = XLMRobertaForMaskedLM(
        XLMRobertaConfig(vocab_size=VOCABULARY, num_hidden_layers=12, num_attention_heads=12, hidden_size=768, intermediate_size=3072,
                         max_position_embeddings=130, type_vocab_size=1)
    ).cuda().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-5, eps=1e-7, fused=True)
    for shape in ((4, 128, 19), (32, 128, 19)):
        step = steps(model, optimizer, batch_of(*shape), 20)
        results[f"{shape[0]} × {shape[1]}, TF32 {'on' if tf32 else 'off'}"] = {
            "step (ms)": round(step, 2), "tokens/s": round(shape[0] * shape[1] / step * 1000),
            "GPU memory (MB)": round(torch.cuda.max_memory_allocated() / 1e6),
        }
    del model, optimizer
    torch.cuda.empty_cache()
print(json.dumps(results, indent=2, ensure_ascii=False))
