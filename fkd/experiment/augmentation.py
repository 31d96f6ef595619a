"""The random changes of a training image."""

from pydantic import Field, model_validator

from fkd.core.keypoints import IMAGE_SIZE_PX
from fkd.experiment.pixel_changes import PixelChanges
from fkd.experiment.settings import Probability, Settings

# Settings that say how far a change goes; the others say how often, and of what kind.
_RANGES = ("limit", "max_degrees", "max_px", "max_sigma_px", "max_shift", "amplitude_px")


class Flip(Settings):
    """Mirror left and right; the points change places with their twins."""

    probability: Probability = 0.0


class Contrast(Settings):
    """Stretch grey values about the image's mean by a factor from [1 - limit, 1 + limit]."""

    probability: Probability = 0.0
    limit: float = Field(0.2, ge=0, lt=1)


class Brightness(Settings):
    """Multiply grey values by a factor from [1 - limit, 1 + limit]."""

    probability: Probability = 0.0
    limit: float = Field(0.2, ge=0, lt=1)


class Blur(Settings):
    """Gaussian blur with a standard deviation from [0, max_sigma_px]."""

    probability: Probability = 0.0
    max_sigma_px: float = Field(1.0, gt=0, le=IMAGE_SIZE_PX)


class Rotation(Settings):
    """Turn about the image's centre by an angle from [-max_degrees, max_degrees]."""

    probability: Probability = 0.0
    max_degrees: float = Field(10.0, ge=0, le=180)


class Scaling(Settings):
    """Enlarge about the image's centre by a factor from [1 - limit, 1 + limit]."""

    probability: Probability = 0.0
    limit: float = Field(0.1, ge=0, lt=1)


class Shift(Settings):
    """Move the picture along each axis by a distance from [-max_px, max_px]."""

    probability: Probability = 0.0
    max_px: float = Field(4.0, ge=0, le=IMAGE_SIZE_PX)


class Noise(Settings):
    """Add white Gaussian noise with a standard deviation from [0, limit], in grey values from 0 to 1."""

    probability: Probability = 0.0
    limit: float = Field(0.05, ge=0, le=10)


class CutOut(Settings):
    """Paint a rectangle with the image's mean grey, its sides from [0, max_px] (DeVries and Taylor 2017)."""

    probability: Probability = 0.0
    max_px: float = Field(32.0, ge=0, le=IMAGE_SIZE_PX)


class Elastic(Settings):
    """Shift every pixel by a smooth random field (Simard et al. 2003).

    `amplitude_px` is the field's root-mean-square shift along each axis, `smoothness_px` the standard
    deviation of the Gaussian that smooths it. The field must not fold: the amplitude is at most a fifth of
    the smoothness.
    """

    probability: Probability = 0.0
    amplitude_px: float = Field(1.0, ge=0, le=IMAGE_SIZE_PX)
    smoothness_px: float = Field(8.0, ge=1, le=1000)

    @model_validator(mode="after")
    def _does_not_fold(self) -> "Elastic":
        if self.amplitude_px > self.smoothness_px / 5:
            raise ValueError(
                f"amplitude_px must be at most smoothness_px / 5 = {self.smoothness_px / 5:g}, "
                f"or the picture folds over itself; received {self.amplitude_px:g}"
            )
        return self


class Perspective(Settings):
    """Move each corner of the frame by up to `max_shift` of its side, inwards or outwards."""

    probability: Probability = 0.0
    max_shift: float = Field(0.05, ge=0, le=0.2)


class Augmentation(Settings):
    """The random changes of a training image; each is applied with its own probability.

    albumentations: further changes of pixels by that library, such as `{RandomGamma: {p: 0.3}}`, after
    fkd's own and in turn. Those that move points are refused.
    """

    flip: Flip = Flip()
    contrast: Contrast = Contrast()
    brightness: Brightness = Brightness()
    blur: Blur = Blur()
    noise: Noise = Noise()
    cut_out: CutOut = CutOut()
    rotation: Rotation = Rotation()
    scaling: Scaling = Scaling()
    shift: Shift = Shift()
    elastic: Elastic = Elastic()
    perspective: Perspective = Perspective()
    albumentations: PixelChanges = ()

    def times(self, magnitude: float) -> "Augmentation":
        """The same changes, equally often, with their ranges multiplied by a factor.

        Those of albumentations stay as they are: each has ranges of its own kind.
        """
        own = self.model_dump(exclude={"albumentations"})
        changes = {
            name: settings | {key: magnitude * settings[key] for key in _RANGES if key in settings}
            for name, settings in own.items()
        }
        # Left out and put back, so that albumentations' are not tried out again.
        return Augmentation.model_validate(changes).model_copy(update={"albumentations": self.albumentations})
