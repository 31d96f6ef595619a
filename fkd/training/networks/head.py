"""From feature maps to coordinates: the end that plain networks and ResNets share."""

from collections.abc import Iterator

from fkd.core.lean_keras import keras
from fkd.experiment.network import Head


def activation(settings: Head) -> keras.layers.Layer:
    """The activation that the settings name, as a layer."""
    if settings.activation == "leaky_relu":
        return keras.layers.LeakyReLU(settings.leaky_relu_slope)
    return keras.layers.ReLU()


def add_head(
    features: keras.KerasTensor, settings: Head, outputs: int, seeds: Iterator[int]
) -> keras.KerasTensor:
    """Pooling or flattening, dropout, dense layers and an output of `outputs` coordinates in [-1, 1].

    Every kernel is He-normal (He et al. 2015, "Delving Deep into Rectifiers") with a seed of its own, so
    the weights depend on the seeds alone.
    """
    layers = keras.layers
    pooling = layers.Flatten() if settings.head == "flatten" else layers.GlobalAveragePooling2D()
    x = _dropped(pooling(features), settings.dropout, seeds)
    for dense in settings.dense:
        x = layers.Dense(dense.units, kernel_initializer=keras.initializers.HeNormal(next(seeds)))(x)
        x = _dropped(activation(settings)(x), dense.dropout, seeds)
    # In bfloat16 a coordinate near the edge would be a multiple of 0.2 px.
    single = {"dtype": "float32"}
    x = layers.Dense(outputs, kernel_initializer=keras.initializers.HeNormal(next(seeds)), **single)(x)
    if settings.output == "scaled_sigmoid":
        # (0, 1) to (-1, 1), the edges of the frame: the published sigmoid times 96.
        x = layers.Rescaling(2.0, -1.0, **single)(layers.Activation("sigmoid", **single)(x))
    return x


def _dropped(x: keras.KerasTensor, rate: float, seeds: Iterator[int]) -> keras.KerasTensor:
    return keras.layers.Dropout(rate, seed=next(seeds))(x) if rate else x
