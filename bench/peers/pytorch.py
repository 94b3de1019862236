"""PyTorch with the model of transformers as a contestant, as a training loop by hand: eager, the head on the masked positions only."""

import gc

from batch import batch_of
from serve import limit_threads, serve


def prepare(workload):
    limit_threads(workload["threads"])
    import numpy as np
    import torch
    import transformers
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    gc.collect()
    torch.set_num_threads(workload["threads"])
    torch.manual_seed(0)
    shape = workload["shape"]
    model = XLMRobertaForMaskedLM(
        XLMRobertaConfig(
            vocab_size=shape["vocabularySize"],
            num_hidden_layers=shape["numLayers"],
            num_attention_heads=shape["numHeads"],
            hidden_size=shape["hiddenDim"],
            intermediate_size=shape["intermediateDim"],
            # Positions count from the padding's id on: two of them have no token.
            max_position_embeddings=shape["maxSequenceLength"] + 2,
            type_vocab_size=1,
            hidden_dropout_prob=workload["dropout"],
            attention_probs_dropout_prob=workload["dropout"],
        )
    )
    rate = workload["learningRate"]
    optimizer = {
        "adam": lambda: torch.optim.Adam(model.parameters(), lr=rate, eps=1e-7, fused=True),
        "sgd": lambda: torch.optim.SGD(model.parameters(), lr=rate),
    }[workload["optimizer"]]()

    token_ids, mask_positions, labels = (torch.from_numpy(array.astype(np.int64)) for array in batch_of(workload))
    padding_mask = torch.ones_like(token_ids)
    rows = torch.arange(token_ids.shape[0])[:, None]

    def logits():
        hidden = model.roberta(input_ids=token_ids, attention_mask=padding_mask).last_hidden_state
        return model.lm_head(hidden[rows, mask_positions])  # [batch, masks, vocabulary]

    def train():
        loss = torch.nn.functional.cross_entropy(logits().flatten(0, 1), labels.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    def predict():
        with torch.no_grad():
            logits().numpy()

    measured = workload["measured"]
    model.train(measured == "training step")
    facts = {"runtime": f"PyTorch {torch.__version__}, transformers {transformers.__version__}"}
    return {"training step": train, "prediction": predict}[measured], facts


serve(prepare)
