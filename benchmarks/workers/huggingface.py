"""Hugging Face's side of peers.py, in an environment with PyTorch: python huggingface.py CASE FOLDER THREADS."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from torch_steps import answer_with


def main():
    case, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    model = getattr(transformers, name).from_pretrained(folder)
    arrays = np.load(folder / "batch.npz")
    x, label = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["label"]).long()
    x = x.permute(0, 3, 1, 2).contiguous() if case == "imagenet_fourier" else x.long()
    about = {"torch": torch.__version__, "transformers": transformers.__version__}
    answer_with(model, lambda: model(x).logits, label, about)


if __name__ == "__main__":
    main()
