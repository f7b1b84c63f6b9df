"""lucidrains' side of peers.py, in an environment with PyTorch: python lucidrains.py CASE FOLDER THREADS.

perceiver-pytorch and perceiver-ar-pytorch, with the sizes of ours as far as they have them. Their weights have no
counterpart here: their attention has no biases, their Perceiver's MLP is gated and four times as wide, their Perceiver
AR adds learned places to the rotary ones. So times are compared, not outputs.
"""

import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import torch
from perceiver_ar_pytorch import PerceiverAR
from perceiver_pytorch import Perceiver
from torch_steps import answer_with


def imagenet_fourier():
    """One read of 50,176 inputs of 261 channels by 128 latents of 256, and eight layers."""
    widths = {"latent_dim": 256, "cross_dim_head": 261, "latent_heads": 8, "latent_dim_head": 32}
    return Perceiver(num_freq_bands=64, max_freq=224, depth=1, num_latents=128, self_per_cross_attn=8, **widths)


def perceiver_ar():
    """256 latents, which read the 1,792 tokens before them, and six layers."""
    lengths = {"max_seq_len": 2048, "cross_attn_seq_len": 1792}
    return PerceiverAR(num_tokens=259, dim=512, depth=6, dim_head=64, heads=8, **lengths)


def main():
    case, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = {"imagenet_fourier": imagenet_fourier, "perceiver_ar": perceiver_ar}[case]()
    arrays = np.load(folder / "batch.npz")
    x, label = (torch.from_numpy(arrays[name]) for name in ("x", "label"))
    x, label = x if case == "imagenet_fourier" else x.long(), label.long()
    names = ("torch", "perceiver-pytorch", "perceiver-ar-pytorch")
    answer_with(model, lambda: model(x), label, {name: importlib.metadata.version(name) for name in names})


if __name__ == "__main__":
    main()
