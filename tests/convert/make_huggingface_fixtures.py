"""Writes what the tests compare with into fixtures/, from the models of `transformers` themselves.

Needs torch and transformers, which the tests do not: python tests/convert/make_huggingface_fixtures.py

- huggingface_shapes.json: names and shapes of the six published models at full size. "#" stands for the layer's number.
- huggingface_CLASS.npz: a small model: its config, names and shapes, inputs, and outputs for the weights that
  `huggingface_weights.draw` gives.
- huggingface_mlm/: one of these models as `save_pretrained` writes it.
"""

import json
import re
from pathlib import Path

import huggingface_weights as weights
import numpy as np
import torch
import transformers

FOLDER = Path(__file__).parent / "fixtures"
IMAGENET = {
    "num_latents": 512,
    "d_latents": 1024,
    "num_blocks": 8,
    "num_self_attends_per_block": 6,
    "num_cross_attention_heads": 1,
    "image_size": 224,
    "num_labels": 1000,
}
FULL = {
    "PerceiverForImageClassificationFourier": IMAGENET,
    "PerceiverForImageClassificationLearned": IMAGENET,
    "PerceiverForImageClassificationConvProcessing": IMAGENET,
    "PerceiverForMaskedLM": {"qk_channels": 256, "v_channels": 1280},
    "PerceiverForOpticalFlow": {
        "num_latents": 2048,
        "d_latents": 512,
        "num_self_attends_per_block": 24,
        "num_self_attention_heads": 16,
        "num_cross_attention_heads": 1,
    },
    "PerceiverForMultimodalAutoencoding": {
        "num_latents": 784,
        "d_latents": 512,
        "num_self_attends_per_block": 8,
        "num_cross_attention_heads": 1,
        "num_labels": 700,
    },
}
SIZES = {
    "num_latents": 4,
    "d_latents": 16,
    "d_model": 16,
    "num_blocks": 2,
    "num_self_attends_per_block": 2,
    "num_self_attention_heads": 4,
    "num_cross_attention_heads": 1,
    "hidden_act": "gelu_pytorch_tanh",
}
SMALL = {
    "PerceiverForImageClassificationFourier": {"num_labels": 5},
    "PerceiverForImageClassificationLearned": {"num_labels": 5, "image_size": 4},
    "PerceiverForImageClassificationConvProcessing": {"num_labels": 5},
    "PerceiverForMaskedLM": {
        "num_cross_attention_heads": 2,
        "qk_channels": 8,
        "v_channels": 16,
        "max_position_embeddings": 12,
    },
    "PerceiverForOpticalFlow": {"train_size": [4, 6]},
    "PerceiverForMultimodalAutoencoding": {
        "num_labels": 5,
        "num_frames": 2,
        "image_size": 8,
        "audio_samples_per_frame": 64,
        "output_shape": [1, 2, 8, 8],
        "output_num_channels": 8,
        "_label_trainable_num_channels": 12,
    },
}


def main():
    full = {kind: _collapsed(_shapes(_model(kind, sizes, "meta"))) for kind, sizes in FULL.items()}
    (FOLDER / "huggingface_shapes.json").write_text(json.dumps(full, indent=0) + "\n")
    for kind, sizes in SMALL.items():
        model = _model(kind, SIZES | sizes, "cpu").eval()
        shapes = _shapes(model)
        arrays = weights.draw(shapes)
        model.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()})
        inputs = _inputs(kind)
        outputs = _outputs(kind, model, inputs)
        np.savez_compressed(
            FOLDER / f"huggingface_{kind}.npz",
            config=json.dumps(SIZES | sizes),
            shapes=json.dumps(shapes),
            sha256=weights.sha256(arrays),
            **{f"input/{name}": array for name, array in inputs.items()},
            **{f"output/{name}": array for name, array in outputs.items()},
        )
        if kind == "PerceiverForMaskedLM":
            model.save_pretrained(FOLDER / "huggingface_mlm")


def _model(kind, sizes, device):
    with torch.device(device):
        return getattr(transformers, kind)(transformers.PerceiverConfig(**sizes))


def _shapes(model):
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def _collapsed(shapes):
    """Layers have equal shapes; they are written once, with their number."""
    collapsed, layers = {}, set()
    for name, shape in shapes.items():
        layers |= set(re.findall(r"self_attends\.(\d+)\.", name))
        short = re.sub(r"(self_attends)\.\d+\.", r"\1.#.", name)
        assert collapsed.setdefault(short, shape) == shape
    return {"layers": len(layers), "shapes": collapsed}


def _inputs(kind):
    if kind == "PerceiverForMaskedLM":
        ids = ((weights.uniform("ids", (2, 12)) + 1) * 131).astype(np.int64)
        mask = np.ones((2, 12), np.int64)
        mask[1, 8:] = 0
        return {"ids": ids, "mask": mask}
    if kind == "PerceiverForMultimodalAutoencoding":
        return {
            "image": weights.uniform("image", (2, 2, 3, 8, 8)),
            "audio": weights.uniform("audio", (2, 128, 1)),
            "label": weights.uniform("label", (2, 5)),
            "image_points": np.array([0, 5, 77, 127]),
            "audio_points": np.array([1, 6]),
        }
    if kind == "PerceiverForOpticalFlow":
        return {"frames": weights.uniform("frames", (2, 2, 4, 6, 3))}
    side = 4 if kind == "PerceiverForImageClassificationLearned" else 16
    return {"image": weights.uniform("image", (2, 3, side, side))}


def _patches(frames):
    """(B, 2, H, W, 3) -> (B, 2, 27, H, W): what surrounds each pixel, by row, column and colour."""
    height, width = frames.shape[2:4]
    padded = np.pad(frames, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, :, row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return np.moveaxis(np.concatenate(shifted, axis=-1), -1, 2)


@torch.no_grad()
def _outputs(kind, model, inputs):
    given = {name: torch.from_numpy(array) for name, array in inputs.items()}
    if kind == "PerceiverForMaskedLM":
        return {"logits": model(inputs=given["ids"], attention_mask=given["mask"]).logits.numpy()}
    if kind == "PerceiverForMultimodalAutoencoding":
        points = {name: given.pop(f"{name}_points") for name in ("image", "audio")}
        logits = model(inputs=given, subsampled_output_points=points | {"label": None}).logits
        return {name: array.numpy() for name, array in logits.items()}
    if kind == "PerceiverForOpticalFlow":
        return {"flow": model(inputs=torch.from_numpy(_patches(inputs["frames"]))).logits.numpy()}
    only = given["image"]
    outputs = {"logits": model(inputs=only).logits.numpy()}
    if kind == "PerceiverForImageClassificationConvProcessing":
        # The same with the release's padding, TensorFlow's SAME: 16 -> 8 -> 4 pixels.
        convolutions = model.perceiver.input_preprocessor.convnet
        convolutions.conv.zero_pad_2d = torch.nn.ZeroPad2d((2, 3, 2, 3))
        convolutions.max_pool = torch.nn.Sequential(
            torch.nn.ConstantPad2d((0, 1, 0, 1), -torch.inf), convolutions.max_pool
        )
        outputs["logits_same_padding"] = model(inputs=only).logits.numpy()
    return outputs


if __name__ == "__main__":
    main()
