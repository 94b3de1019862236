"""The contestant's side of the bench's protocol (bench/protocol.ts), for those that run on Python."""

import json
import os
import sys
import time

PREFIX = "@bench "


def limit_threads(threads):
    """Before a framework is imported: as many threads as the workload has, on as many cores."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, set(cores[:threads]))


def serve(prepare):
    """Answers the bench until it hangs up. `prepare(workload)` gives `(step, facts)`; `step()` may give facts."""
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    step = None
    for line in sys.stdin:
        if not line.startswith(PREFIX):
            continue
        request = json.loads(line[len(PREFIX):])
        try:
            if request["do"] == "prepare":
                step = None
                workload = request["workload"]
                made, facts = prepare(workload)
                losses = []
                for _ in range(workload["warmUp"]):
                    said = made() or {}
                    losses += [said["loss"]] if "loss" in said else []
                if losses:
                    facts = {**facts, "losses": losses}
                step = made
                answer = {"did": "prepare", "facts": facts}
            else:
                seconds, said = [], None
                for _ in range(request["steps"]):
                    start = time.perf_counter()
                    said = step()
                    seconds.append(time.perf_counter() - start)
                answer = {"did": "measure", "seconds": seconds, "facts": said or {}}
        except Exception as error:  # whatever it is, the bench is to know
            answer = {"did": "fail", "reason": f"{type(error).__name__}: {error}"}
        answers.write(PREFIX + json.dumps(answer) + "\n")
        answers.flush()
