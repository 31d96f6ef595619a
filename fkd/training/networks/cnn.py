"""The plain convolutional network: its layers are listed in the experiment file."""

from collections.abc import Iterator

from fkd.core.lean_keras import keras
from fkd.experiment.network import ConvolutionalNetwork
from fkd.training.networks.head import activation, add_head


def build_cnn(
    network: ConvolutionalNetwork, image_size_px: int, outputs: int, seeds: Iterator[int]
) -> keras.Model:
    """Convolutions, each with its activation and, where asked for, normalisation and max-pooling; a head.

    Every kernel is He-normal with a seed of its own. Input (image_size_px, image_size_px, 1), output
    (outputs,).
    """
    layers = keras.layers
    image = keras.Input((image_size_px, image_size_px, 1))
    x = layers.BatchNormalization()(image) if network.input_normalisation == "batch" else image
    for convolution in network.convolutions:
        x = layers.Conv2D(
            convolution.filters,
            convolution.kernel,
            padding=convolution.padding,
            kernel_initializer=keras.initializers.HeNormal(next(seeds)),
        )(x)
        if network.batch_normalisation:
            x = layers.BatchNormalization()(x)
        x = activation(network)(x)
        if convolution.pool > 1:
            x = layers.MaxPooling2D(convolution.pool)(x)
    return keras.Model(image, add_head(x, network, outputs, seeds))
