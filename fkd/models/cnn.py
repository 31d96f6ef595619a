"""The plain convolutional network of the published ensemble."""

from collections.abc import Iterator

import keras

from fkd.errors import UserError
from fkd.experiment import Network


def build_cnn(network: Network, image_size_px: int, outputs: int, seeds: Iterator[int]) -> keras.Model:
    """Convolutions with ReLU and max-pooling, global average pooling, dense layers, a linear output.

    Every kernel is He-normal (He et al. 2015, "Delving Deep into Rectifiers") with a seed of its own, so
    the weights depend on the seeds alone. Input (image_size_px, image_size_px, 1), output (outputs,).
    Raises UserError where a feature map would shrink below one pixel.
    """
    layers = keras.layers
    image = keras.Input((image_size_px, image_size_px, 1))
    x = layers.BatchNormalization()(image) if network.input_normalisation == "batch" else image
    size_px = image_size_px
    for number, convolution in enumerate(network.convolutions, start=1):
        shrinkage_px = convolution.kernel - 1 if convolution.padding == "valid" else 0
        size_px = (size_px - shrinkage_px) // convolution.pool
        if size_px < 1:
            raise UserError(
                f"network.convolutions: convolution {number} leaves a feature map smaller than one pixel; "
                "use fewer or smaller kernels, padding: same, or less pooling"
            )
        x = layers.Conv2D(
            convolution.filters,
            convolution.kernel,
            padding=convolution.padding,
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(next(seeds)),
        )(x)
        if convolution.pool > 1:
            x = layers.MaxPooling2D(convolution.pool)(x)
    x = layers.GlobalAveragePooling2D()(x)
    for units in network.dense:
        x = layers.Dense(units, "relu", kernel_initializer=keras.initializers.HeNormal(next(seeds)))(x)
    x = layers.Dense(outputs, kernel_initializer=keras.initializers.HeNormal(next(seeds)))(x)
    return keras.Model(image, x)
