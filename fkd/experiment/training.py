"""How one member is trained: loss, optimizer, learning-rate schedule, limits. Names are Keras' own."""

from typing import Annotated, Literal

from pydantic import Field

from fkd.core.keypoints import HALF_WIDTH_PX
from fkd.experiment.settings import Settings

Loss = Literal[
    "mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "huber", "wing", "kl_divergence"
]

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


class Optimizer(Settings):
    """A Keras optimizer by its name; `rho` belongs to RMSProp, `weight_decay` to AdamW."""

    name: Literal["rmsprop", "sgd", "adagrad", "adam", "adamw", "nadam"] = "rmsprop"
    learning_rate: float = Field(1e-3, gt=0)
    rho: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.004, ge=0, le=1000)


class Constant(Settings):
    """The optimizer's learning rate throughout."""

    name: Literal["constant"] = "constant"


class ExponentialDecay(Settings):
    """Multiply the learning rate by `rate` over every `epochs`; at their end at once where `staircase`."""

    name: Literal["exponential_decay"]
    rate: float = Field(gt=0, le=1000)
    epochs: float = Field(gt=0, le=1_000_000)
    staircase: bool = False


class CosineDecay(Settings):
    """Half a cosine from the optimizer's learning rate to zero at the end of `epochs`, or of the training.

    warmup_epochs: the rate rises to the optimizer's in a straight line before it falls. With a warm-up of a
    third of the training this is the one-cycle schedule (Smith and Topin 2018) at a constant momentum.
    """

    name: Literal["cosine_decay"]
    epochs: float | None = Field(None, gt=0, le=1_000_000)
    warmup_epochs: float = Field(0.0, ge=0, le=1_000_000)


class ReduceOnPlateau(Settings):
    """Multiply the learning rate by `factor` after `patience_epochs` without a better validation RMSE."""

    name: Literal["reduce_on_plateau"]
    factor: float = Field(0.1, gt=0, lt=1)
    patience_epochs: int = Field(10, ge=1, le=1_000_000)
    min_learning_rate: float = Field(0.0, ge=0, le=1000)


Schedule = Annotated[Constant | ExponentialDecay | CosineDecay | ReduceOnPlateau, Field(discriminator="name")]


class Training(Settings):
    """How one member is trained.

    weight_averaging: momentum of the running average of the weights that is validated and kept instead of the
    weights themselves (Polyak and Juditsky 1992); 0 for none.
    huber_delta_px: errors above it count in proportion, those below by their square.
    wing_width_px, wing_curvature_px: errors above the width count in proportion, those below by a logarithm
    that is the steeper at 0 the smaller the curvature.
    map_divergence: weight of the maps' Kullback-Leibler divergence from Gaussians, added to a loss of the
    coordinates that are read off them.
    precision: of the training steps, by the name of Keras' dtype policy; weights and predictions are float32,
    and so are the steps on a processor that has no instructions for bfloat16.
    shared_batches: all members of a specialist see the same batches, not each its own.
    steps_per_call: so many steps are one call of the framework, so that a GPU need not wait for Python; for
    JAX on a GPU (a CPU takes ten times as long). They round differently from single ones, and a state is
    saved between calls.
    max_images: the training ends after about this many images (whole batches) where max_epochs allows more.
    monitor, min_delta: the training ends, as Keras' EarlyStopping ends it, once this figure has not fallen by
    more than min_delta for patience_epochs; a member keeps the weights with which it was least.
    checkpoint_seconds: the state is saved at least this far apart, in the middle of an epoch too.
    deterministic: the same rounding on a GPU every time, at the cost of speed; on a CPU it changes nothing.
    """

    loss: Loss = "mean_squared_error"
    huber_delta_px: float = Field(HALF_WIDTH_PX, gt=0, le=10_000)
    # The paper's 10 and 2 for images of 64 pixels.
    wing_width_px: float = Field(15.0, gt=0, le=10_000)
    wing_curvature_px: float = Field(3.0, gt=0, le=10_000)
    map_divergence: float = Field(0.0, ge=0, le=1_000_000)
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Constant()
    weight_averaging: float = Field(0.0, ge=0, lt=1)
    precision: Precision = "float32"
    shared_batches: bool = False
    max_epochs: int = Field(1000, ge=1, le=1_000_000)
    max_images: int | None = Field(None, ge=1, le=10**12)
    patience_epochs: int = Field(50, ge=1, le=1_000_000)
    monitor: Literal["validation_rmse_px", "validation_loss"] = "validation_rmse_px"
    min_delta: float = Field(0.0, ge=0, le=10_000)
    steps_per_call: int = Field(1, ge=1, le=1000)
    checkpoint_seconds: float = Field(30.0, ge=0, le=1_000_000_000)
    deterministic: bool = False

    def epochs_at_most(self, images_per_epoch: int) -> int:
        """Epochs after which the training ends, early stopping apart."""
        if self.max_images is None:
            return self.max_epochs
        return min(self.max_epochs, -(-self.max_images // images_per_epoch))

    def batches_in_epoch(self, epoch: int, images_per_epoch: int, batch_size: int) -> int:
        """Batches of an epoch, counted from 0: all of its images', or fewer where it reaches max_images."""
        images = images_per_epoch
        if self.max_images is not None:
            images = min(images, self.max_images - epoch * images_per_epoch)
        return -(-images // batch_size)
