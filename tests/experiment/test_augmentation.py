import pytest

from fkd.experiment.augmentation import Augmentation, Elastic, Noise, Rotation


def test_a_magnitude_multiplies_ranges_and_nothing_else():
    changes = Augmentation(
        rotation=Rotation(probability=0.5, max_degrees=20),
        noise=Noise(probability=0.25, limit=0.1),
        elastic=Elastic(probability=1, amplitude_px=1.5, smoothness_px=8),
    ).times(0.5)
    assert changes.rotation == Rotation(probability=0.5, max_degrees=10)
    assert changes.noise == Noise(probability=0.25, limit=0.05)
    assert changes.elastic == Elastic(probability=1, amplitude_px=0.75, smoothness_px=8)


def test_an_elastic_field_of_a_fifth_of_its_smoothness_does_not_fold():
    assert Elastic(amplitude_px=2, smoothness_px=10).amplitude_px == 2
    with pytest.raises(ValueError, match="at most smoothness_px / 5 = 2, or the picture folds over itself"):
        Elastic(amplitude_px=2.1, smoothness_px=10)
