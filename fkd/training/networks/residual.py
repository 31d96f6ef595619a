"""The residual network: from half the picture's size down to coarse maps, and up again to the points'."""

from collections.abc import Iterator
from typing import Any

from fkd.core.lean_keras import keras
from fkd.experiment.network import ResidualNetwork
from fkd.training.networks.maps import map_logits, normalised_convolution


def build_residual(
    network: ResidualNetwork, image_size_px: int, points: int, seeds: Iterator[int]
) -> keras.Model:
    """A convolution with stride 2, residual blocks on ever smaller maps, and up again to the output level.

    On the way up a level's own maps are added to those from below (Newell et al. 2016, "Stacked Hourglass
    Networks"). Every kernel is He-normal with a seed of its own. Input (image_size_px, image_size_px, 1),
    output (pixels of the output level, points): logits, row by row.
    """
    layers = keras.layers
    image = keras.Input((image_size_px, image_size_px, 1))
    x = _activated(image, network.filters[0], network.stem_kernel, seeds, strides=2)
    levels: list[Any] = []
    for level, filters in enumerate(network.filters):
        for block in range(network.blocks):
            strides = 2 if level and not block else 1
            x = _block(x, filters, network.kernel, seeds, strides)
        levels.append(x)
    for level in reversed(range(network.output_level, len(levels) - 1)):
        filters = network.filters[level]
        x = _activated(x, filters, 1, seeds)
        x = layers.Add()([layers.UpSampling2D(2, interpolation="bilinear")(x), levels[level]])
        x = _block(x, filters, network.kernel, seeds)
    return keras.Model(image, map_logits(x, points, next(seeds)))


def _block(x: Any, filters: int, kernel: int, seeds: Iterator[int], strides: int = 1) -> Any:
    """Two convolutions beside a way around them, which is one of size 1 where shapes change."""
    layers, around = keras.layers, x
    if strides > 1 or x.shape[-1] != filters:
        around = normalised_convolution(x, filters, 1, seeds, strides)
    x = _activated(x, filters, kernel, seeds, strides)
    x = normalised_convolution(x, filters, kernel, seeds)
    return layers.ReLU()(layers.Add()([x, around]))


def _activated(x: Any, filters: int, kernel: int, seeds: Iterator[int], strides: int = 1) -> Any:
    return keras.layers.ReLU()(normalised_convolution(x, filters, kernel, seeds, strides))
