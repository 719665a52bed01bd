"""Layers in plain numpy, for the oracles of matchers; videos or frames one by one."""

import itertools

import numpy as np
from torch import nn

Array = np.ndarray


def array(tensor) -> Array:
    return tensor.detach().double().numpy()


def convolved(module: nn.Module, x: Array) -> Array:
    """Convolve (channels, *sizes): a sum over the places of the kernel."""
    weight, padding, stride = array(module.weight), module.padding, module.stride
    x = np.pad(x, [(0, 0), *((p, p) for p in padding)])
    sizes = [
        (n - k) // s + 1 for n, k, s in zip(x.shape[1:], weight.shape[2:], stride, strict=True)
    ]
    total = np.zeros((len(weight), *sizes))
    for place in itertools.product(*map(range, weight.shape[2:])):
        cut = [
            slice(p, p + s * (n - 1) + 1, s) for p, n, s in zip(place, sizes, stride, strict=True)
        ]
        total += np.tensordot(weight[(..., *place)], x[(slice(None), *cut)], axes=(1, 0))
    if module.bias is not None:
        total += array(module.bias).reshape(-1, *[1] * len(sizes))
    return total


def normalised(norm: nn.Module, x: Array) -> Array:
    """Apply BatchNorm with its running statistics to (channels, *sizes)."""
    shape = (-1, *[1] * (x.ndim - 1))
    mean, variance, weight, bias = (
        array(t).reshape(shape)
        for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / np.sqrt(variance + norm.eps) * weight + bias


def block(convolution: nn.Module, norm: nn.Module, x: Array) -> Array:
    return np.maximum(normalised(norm, convolved(convolution, x)), 0)


def max_pooled(x: Array, *sizes: int) -> Array:
    """Take the largest of each cell of (channels, *sizes); a rest at the end is left out."""
    shape = [n // s for n, s in zip(x.shape[1:], sizes, strict=True)]
    found = np.empty((len(x), *shape))
    for place in itertools.product(*map(range, shape)):
        cut = [slice(p * s, (p + 1) * s) for p, s in zip(place, sizes, strict=True)]
        found[(slice(None), *place)] = x[(slice(None), *cut)].reshape(len(x), -1).max(axis=1)
    return found


def linear(module: nn.Module, x: Array) -> Array:
    return x @ array(module.weight).T + array(module.bias)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    grown = np.exp(x - x.max(axis=-1, keepdims=True))
    return grown / grown.sum(axis=-1, keepdims=True)


def cross_entropy(logits: Array, labels: Array) -> float:
    chosen = [-np.log(softmax(row)[label]) for row, label in zip(logits, labels, strict=True)]
    return float(np.mean(chosen))
