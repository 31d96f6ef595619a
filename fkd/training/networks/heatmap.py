"""The heatmap network: a U-Net that draws maps as large as the picture."""

from collections.abc import Iterator

from fkd.core.lean_keras import keras
from fkd.experiment.network import HeatmapNetwork
from fkd.training.networks.maps import map_logits, normalised_convolution


def build_heatmap(
    network: HeatmapNetwork, image_size_px: int, points: int, seeds: Iterator[int]
) -> keras.Model:
    """A U-Net (Ronneberger et al. 2015): every level halves the map, and joins it again on the way up.

    Every kernel is He-normal with a seed of its own. Input (image_size_px, image_size_px, 1), output
    (image_size_px * image_size_px, points): logits, row by row.
    """
    layers = keras.layers
    *fine, coarsest = network.filters
    image = keras.Input((image_size_px, image_size_px, 1))
    x, joined_on_the_way_up = image, []
    for filters in fine:
        x = _two_convolutions(x, filters, network.kernel, seeds)
        joined_on_the_way_up.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _two_convolutions(x, coarsest, network.kernel, seeds)
    for filters in reversed(fine):
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        x = layers.Concatenate()([x, joined_on_the_way_up.pop()])
        x = _two_convolutions(x, filters, network.kernel, seeds)
    return keras.Model(image, map_logits(x, points, next(seeds)))


def _two_convolutions(
    x: keras.KerasTensor, filters: int, kernel: int, seeds: Iterator[int]
) -> keras.KerasTensor:
    for _ in range(2):
        x = keras.layers.ReLU()(normalised_convolution(x, filters, kernel, seeds))
    return x
