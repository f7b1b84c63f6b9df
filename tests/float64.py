"""Layers by their definitions, in NumPy and float64."""

import numpy as np


def norm(layer, x):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * np.asarray(layer.scale[...], np.float64) + np.asarray(layer.bias[...], np.float64)


def dense(layer, x):
    bias = 0 if layer.bias is None else np.asarray(layer.bias[...], np.float64)
    return np.asarray(x, np.float64) @ np.asarray(layer.kernel[...], np.float64) + bias


def attention(layer, queries, inputs, mask=None):
    """Softmax head by head; a query that may attend to nothing gets the bias of the output."""
    q, k, v = dense(layer.query, queries), dense(layer.key, inputs), dense(layer.value, inputs)
    heads = [np.split(x, layer.num_heads, axis=-1) for x in (q, k, v)]
    contexts = []
    for own_q, own_k, own_v in zip(*heads, strict=True):
        scores = own_q @ own_k.swapaxes(1, 2) / np.sqrt(own_q.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True)) * (1 if mask is None else np.asarray(mask))
        contexts.append(weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300) @ own_v)
    return dense(layer.output, np.concatenate(contexts, axis=-1))


def mlp(layer, x):
    """With GELU in its approximation by tanh, as in the released code."""
    inside = dense(layer.expand, x)
    return dense(layer.contract, inside / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (inside + 0.044715 * inside**3))))
