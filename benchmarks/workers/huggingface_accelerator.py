"""The peer's side of accelerator.py, where PyTorch sees a GPU: python huggingface_accelerator.py CASE BATCH."""

import json
import statistics
import sys
import time

import torch
import transformers
from transformers import PerceiverConfig, PerceiverForImageClassificationFourier, PerceiverForMaskedLM

WARM, TURNS, STEPS = 2, 5, 4
MODELS = {"imagenet_fourier_io": PerceiverForImageClassificationFourier, "mlm_bytes_io": PerceiverForMaskedLM}


def batch(case, size):
    if case == "mlm_bytes_io":
        return torch.randint(6, 262, (size, 2048), device="cuda")
    return torch.randn(size, 3, 224, 224, device="cuda")


def config(case):
    """The published sizes."""
    if case == "mlm_bytes_io":
        return PerceiverConfig(qk_channels=256, v_channels=1280, attention_probs_dropout_prob=0.0)
    layers = {"num_blocks": 8, "num_self_attends_per_block": 6, "num_cross_attention_heads": 1}
    return PerceiverConfig(num_latents=512, d_latents=1024, num_labels=1000, attention_probs_dropout_prob=0.0, **layers)


def main():
    case, size = sys.argv[1], int(sys.argv[2])
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    model = MODELS[case](config(case)).cuda().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
    x = batch(case, size)
    forward = torch.compile(lambda x: model(x).logits)

    def step():
        with torch.autocast("cuda", torch.bfloat16):
            loss = (forward(x).float() ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    began = time.perf_counter()
    step().item()
    compiled_in, times = time.perf_counter() - began, []
    for turn in range(WARM + TURNS):
        began = time.perf_counter()
        for _ in range(STEPS):
            loss = step()
        loss.item()
        if turn >= WARM:
            times.append((time.perf_counter() - began) / STEPS)
    print(
        json.dumps(
            {
                "batch_size": size,
                "parameters": sum(one.numel() for one in model.parameters()),
                "milliseconds": round(1e3 * statistics.median(times), 3),
                "compile_seconds": round(compiled_in, 1),
                "gibibytes": round(torch.cuda.max_memory_allocated() / 2**30, 3),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
