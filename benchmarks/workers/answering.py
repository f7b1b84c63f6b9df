"""What every side of peers.py does: read a request as a line of JSON, do it, answer with the seconds it took."""

import json
import sys
import time

import numpy as np


def answer_requests(forward, step, about):
    """Until standard input ends.

    Args:
      forward: () -> the model's outputs as a NumPy array, once they are there.
      step: () -> None, once a training step is done.
      about: versions, told when asked.
    """
    for line in sys.stdin:
        request, answer = json.loads(line), {}
        began = time.perf_counter()
        if request["do"] == "forward":
            forward()
        elif request["do"] == "step":
            step()
        elif request["do"] == "outputs":
            np.save(request["path"], forward())
        elif request["do"] == "about":
            answer = about
        print(json.dumps(answer | {"seconds": time.perf_counter() - began}), flush=True)
