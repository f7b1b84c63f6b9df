"""Hugging Face's side of peers.py, in an environment with PyTorch: python huggingface.py CASE FOLDER THREADS."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from answering import answer_requests


def main():
    case, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    model = getattr(transformers, name).from_pretrained(folder)
    arrays = np.load(folder / "batch.npz")
    x, label = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["label"]).long()
    x = x.permute(0, 3, 1, 2).contiguous() if case == "imagenet_fourier" else x.long()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)

    def forward():
        with torch.no_grad():
            return model.eval()(x).logits.numpy()

    def step():
        logits = model.train()(x).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), label.reshape(-1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    answer_requests(forward, step, {"torch": torch.__version__, "transformers": transformers.__version__})


if __name__ == "__main__":
    main()
