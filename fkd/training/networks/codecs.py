"""What a network's outputs mean: a codec for each kind has their loss, their reading and their measure.

Above this package nobody asks what kind of network it is: `codec_of` does, once.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from fkd.core.lean_keras import keras
from fkd.experiment.network import Network
from fkd.experiment.training import Training
from fkd.training.networks.losses import CoordinateLoss, labelled_squared_error
from fkd.training.networks.maps import HeatmapLoss, Peaks, Tensor, read_peaks


class Codec(ABC):
    """How points become a network's outputs and how the outputs are read as points again.

    truth: (batch, 2 * points) coordinates in [-1, 1], x0, y0, x1, y1, ..., NaN where there is no label.
    """

    @abstractmethod
    def channels(self, points: int) -> int:
        """The last axis of the outputs that stand for this number of points."""

    @abstractmethod
    def read(self, outputs: Tensor, peaks: Peaks = "soft_argmax") -> Tensor:
        """Outputs as coordinates in [-1, 1], shape (batch, 2 * points): x0, y0, x1, y1, ..."""

    @abstractmethod
    def loss(self, training: Training) -> keras.losses.Loss:
        """The loss that the settings name, of (truth, outputs); a point without a label adds nothing."""

    def squared_error(self, truth: Tensor, outputs: Tensor) -> Tensor:
        """Mean squared error of a batch's labelled coordinates, one number, whatever the loss is."""
        return labelled_squared_error(truth, self.read(outputs))


@dataclass(frozen=True)
class CoordinateCodec(Codec):
    """The outputs are the coordinates themselves, shape (batch, 2 * points)."""

    def channels(self, points: int) -> int:
        """Two coordinates a point."""
        return 2 * points

    def read(self, outputs: Tensor, peaks: Peaks = "soft_argmax") -> Tensor:
        """The outputs as they are; there are no peaks to find."""
        return outputs

    def loss(self, training: Training) -> keras.losses.Loss:
        """A loss of the coordinates."""
        return CoordinateLoss(training, self.read)


@dataclass(frozen=True)
class MapCodec(Codec):
    """The outputs are one map a point, shape (batch, pixels, points): logits whose peak is the point.

    sigma_px: standard deviation, in the picture's pixels, of the Gaussians that the maps are compared with.
    """

    sigma_px: float

    def channels(self, points: int) -> int:
        """One map a point."""
        return points

    def read(self, outputs: Tensor, peaks: Peaks = "soft_argmax") -> Tensor:
        """The maps' peaks."""
        return read_peaks(outputs, peaks)

    def loss(self, training: Training) -> keras.losses.Loss:
        """The divergence of the maps, or a loss of their peaks to which the divergence may be added."""
        divergence = HeatmapLoss(self.sigma_px)
        if training.loss == "kl_divergence":
            return divergence
        return CoordinateLoss(training, self.read, divergence)


def codec_of(network: Network) -> Codec:
    """The codec of a network's outputs."""
    return MapCodec(network.sigma_px) if network.draws_maps else CoordinateCodec()
