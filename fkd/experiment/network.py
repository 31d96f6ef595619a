"""The architectures as data: plain convolutional networks, ResNets, and networks that draw maps."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.experiment.settings import Settings

Activation = Literal["relu", "leaky_relu"]
DropoutRate = Annotated[float, Field(ge=0, lt=1)]
Filters = Annotated[int, Field(gt=0, le=4096, strict=True)]
Kernel = Annotated[int, Field(gt=0, le=IMAGE_SIZE_PX)]

# A gigabyte, of which a training keeps several copies. A ResNet50 has a tenth.
MOST_PARAMETERS = 250_000_000
_RESNET_PARAMETERS = 25_000_000
_RESNET_CHANNELS, _RESNET_MAP_PX = 2048, 3  # of the deepest one's last maps


class Convolution(Settings):
    """A convolution with its activation and, where `pool` is above 1, max-pooling by that factor."""

    filters: Filters
    kernel: Kernel
    padding: Literal["same", "valid"] = "valid"
    pool: int = Field(1, ge=1, le=IMAGE_SIZE_PX)


class Dense(Settings):
    """A dense layer with its activation, then dropout; a bare number in a file is its `units`."""

    units: int = Field(gt=0, le=65_536)
    dropout: DropoutRate = 0.0


class Head(Settings):
    """How feature maps become coordinates: pooled or flattened, dropout, dense layers, the output.

    output: `linear`, or `scaled_sigmoid`, which cannot point outside the frame.
    """

    draws_maps: ClassVar[Literal[False]] = False  # its outputs are coordinates

    activation: Activation = "relu"
    leaky_relu_slope: float = Field(0.1, ge=0, le=100)
    head: Literal["global_average", "flatten"] = "global_average"
    dropout: DropoutRate = 0.0
    dense: tuple[Dense, ...] = Field((), max_length=100)
    output: Literal["linear", "scaled_sigmoid"] = "linear"

    @field_validator("dense", mode="before")
    @classmethod
    def _bare_numbers_are_units(cls, layers: Any) -> Any:
        if not isinstance(layers, list | tuple):
            return layers
        return [{"units": layer} if isinstance(layer, int) else layer for layer in layers]

    def _head_parameters(self, map_px: int, channels: int, outputs: int) -> int:
        inputs = channels * (map_px**2 if self.head == "flatten" else 1)
        layers = [inputs, *(layer.units for layer in self.dense), outputs]
        return sum((before + 1) * after for before, after in pairwise(layers))


class ConvolutionalNetwork(Head):
    """A plain convolutional network.

    batch_normalisation: after every convolution, before its activation.
    """

    kind: Literal["cnn"] = "cnn"
    input_normalisation: Literal["batch", "none"] = "batch"
    batch_normalisation: bool = False
    convolutions: tuple[Convolution, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _maps_do_not_vanish(self) -> "ConvolutionalNetwork":
        for number, size_px in enumerate(self._map_sizes_px(), start=1):
            if size_px < 1:
                raise ValueError(
                    f"convolution {number} leaves a feature map smaller than one pixel; "
                    "use fewer or smaller kernels, padding: same, or less pooling"
                )
        return self

    def parameters(self, outputs: int) -> int:
        """About how many a network with so many outputs has."""
        channels = [1, *(convolution.filters for convolution in self.convolutions)]
        convolutions = zip(channels, self.convolutions, strict=False)
        below = sum((before * c.kernel**2 + 5) * c.filters for before, c in convolutions)
        return below + self._head_parameters(list(self._map_sizes_px())[-1], channels[-1], outputs)

    def _map_sizes_px(self) -> Iterator[int]:
        size_px = IMAGE_SIZE_PX
        for convolution in self.convolutions:
            shrinkage_px = convolution.kernel - 1 if convolution.padding == "valid" else 0
            size_px = (size_px - shrinkage_px) // convolution.pool
            yield size_px


class ResNet(Head):
    """A ResNet (He et al. 2016) on the grey image that a first convolution turns into three channels.

    weights: `imagenet`, `none`, or the path of a weights file or of a Keras preset's folder. Only the
    first training step needs them; what is trained is in the store.
    """

    kind: Literal["resnet"]
    depth: Literal[18, 34, 50]
    colour_kernel: Kernel = 1
    colour_activation: Literal["linear", "leaky_relu"] = "linear"
    weights: str = "none"

    def parameters(self, outputs: int) -> int:
        """At most how many a network with so many outputs has."""
        return _RESNET_PARAMETERS + self._head_parameters(_RESNET_MAP_PX, _RESNET_CHANNELS, outputs)


class MapNetwork(Settings):
    """A network with one map a point, whose peak is the point.

    filters: of every level, the finest first; each level halves the map of the one before.
    sigma_px: standard deviation, in the picture's pixels, of the Gaussians that the maps are compared with.
    """

    draws_maps: ClassVar[Literal[True]] = True

    filters: tuple[Filters, ...] = Field(min_length=1)
    kernel: Kernel = 3
    sigma_px: float = Field(2.0, gt=0, le=1000)

    _finest_map_px: ClassVar[int] = IMAGE_SIZE_PX

    @field_validator("filters")
    @classmethod
    def _maps_halve_evenly(cls, filters: tuple[int, ...]) -> tuple[int, ...]:
        halvings = (cls._finest_map_px & -cls._finest_map_px).bit_length() - 1  # factors of two
        if len(filters) > halvings + 1:
            raise ValueError(
                f"expected at most {halvings + 1} levels, for a map of {cls._finest_map_px} px is halved "
                f"evenly no more than {halvings} times; list fewer"
            )
        return filters


class HeatmapNetwork(MapNetwork):
    """A U-Net (Ronneberger et al. 2015) with maps as large as the picture."""

    kind: Literal["heatmap"]

    def parameters(self, outputs: int) -> int:
        """About how many a network with so many maps has."""
        down = sum(f * (before + f) for before, f in pairwise((1, *self.filters)))
        up = sum(f * (coarser + 2 * f) for f, coarser in pairwise(self.filters))
        return self.kernel**2 * (down + up) + self.filters[0] * outputs


class ResidualNetwork(MapNetwork):
    """Residual blocks (He et al. 2016) on maps from half the picture's size down, and up again.

    blocks: residual blocks of a level on the way down; one follows on each level of the way up.
    stem_kernel: of the first convolution. output_level: the level whose maps hold the points, 0 the finest.
    """

    kind: Literal["residual"]
    stem_kernel: Kernel = 5
    blocks: int = Field(1, ge=1, le=100)
    output_level: int = Field(1, ge=0)

    _finest_map_px: ClassVar[int] = IMAGE_SIZE_PX // 2

    @model_validator(mode="after")
    def _output_level_exists(self) -> "ResidualNetwork":
        if self.output_level >= len(self.filters):
            raise ValueError(
                f"output_level: expected one of the {len(self.filters)} levels, counted from 0, received "
                f"{self.output_level}"
            )
        return self

    def parameters(self, outputs: int) -> int:
        """About how many a network with so many maps has."""
        squares = sum(f * f for f in self.filters)  # of the second convolutions, and of all in later blocks
        firsts = sum(before * f for before, f in pairwise((self.filters[0], *self.filters)))
        blocks = (2 * self.blocks - 1) * squares + firsts
        up = 2 * sum(f * f for f in self.filters[self.output_level : -1])
        stem = self.filters[0] * self.stem_kernel**2
        return stem + self.kernel**2 * (blocks + up) + self.filters[self.output_level] * outputs


def _kind(network: Any) -> Any:
    return network.get("kind", "cnn") if isinstance(network, dict) else getattr(network, "kind", None)


Network = Annotated[
    Annotated[ConvolutionalNetwork, Tag("cnn")]
    | Annotated[ResNet, Tag("resnet")]
    | Annotated[HeatmapNetwork, Tag("heatmap")]
    | Annotated[ResidualNetwork, Tag("residual")],
    Discriminator(_kind),
]
