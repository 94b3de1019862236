"""KerasHub as a contestant, on the backend that KERAS_BACKEND names."""

import gc
import os

from batch import batch_of
from serve import limit_threads, serve


def prepare(workload):
    limit_threads(workload["threads"])
    import keras
    import keras_hub
    import numpy as np

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        torch.set_num_threads(workload["threads"])
    keras.backend.clear_session()
    gc.collect()

    shape = workload["shape"]
    backbone = keras_hub.models.XLMRobertaBackbone(
        vocabulary_size=shape["vocabularySize"],
        num_layers=shape["numLayers"],
        num_heads=shape["numHeads"],
        hidden_dim=shape["hiddenDim"],
        intermediate_dim=shape["intermediateDim"],
        dropout=workload["dropout"],
        max_sequence_length=shape["maxSequenceLength"],
    )
    # What is left out is as KerasHub takes it for the task: loss, metric, jit_compile.
    rule = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[workload["optimizer"]]
    masked_lm = keras_hub.models.XLMRobertaMaskedLM(backbone=backbone, preprocessor=None)
    masked_lm.compile(optimizer=rule(workload["learningRate"]))

    token_ids, mask_positions, labels = batch_of(workload)
    x = {
        "token_ids": token_ids,
        "padding_mask": np.ones_like(token_ids),
        "mask_positions": mask_positions,
    }
    weights = np.ones(labels.shape, "float32")
    facts = {"runtime": f"Keras {keras.__version__}, KerasHub {keras_hub.__version__}, {version_of(backend)}"}

    def train():
        return {"loss": float(masked_lm.train_on_batch(x, labels, weights, return_dict=True)["loss"])}

    def predict():
        np.asarray(masked_lm.predict_on_batch(x))

    return {"training step": train, "prediction": predict}[workload["measured"]], facts


def version_of(backend):
    module = __import__({"jax": "jax", "torch": "torch", "tensorflow": "tensorflow"}[backend])
    return f"{backend} {module.__version__}"


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
serve(prepare)
