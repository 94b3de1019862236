"""The peers that tokenize.ts times: each line of input names what to run, each line of output answers in JSON.

Arguments: the corpus, a JSON array of texts, and then KIND=FILE for each kind of tokenizer.
Input: `time KIND` answers the seconds that tokenizing the corpus took, `ids KIND FILE` writes the ids, int32, each text's after their number.
"""

import array
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread each, as ours


def sentencepiece_encoder(path):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=path)
    return f"sentencepiece {sentencepiece.__version__}", lambda texts: processor.encode(texts, num_threads=1)


def tokenizers_encoder(path):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(path)
    encode = lambda texts: [one.ids for one in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    return f"tokenizers {tokenizers.__version__}", encode


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        texts = json.load(file)
    encoders, names = {}, {}
    for argument in sys.argv[2:]:
        kind, path = argument.split("=", 1)
        try:
            names[kind], encoders[kind] = (tokenizers_encoder if path.endswith(".json") else sentencepiece_encoder)(path)
        except ImportError:
            pass
    print(json.dumps(names), flush=True)
    for line in sys.stdin:
        command, kind, *path = line.rstrip("\n").split(" ", 2)
        start = time.perf_counter()
        encoded = encoders[kind](texts)
        seconds = time.perf_counter() - start
        if command == "ids":
            with open(path[0], "wb") as file:
                for ids in encoded:
                    array.array("i", [len(ids), *ids]).tofile(file)
        print(json.dumps(seconds), flush=True)


main()
