"""fkd: ensembles of small networks that find the keypoints of a face.

The front door is `load`, which gives an `Ensemble`; everything else is reached by the command `fkd`, told in
`fkd/pipeline.py`. The folders are the stages of the pipeline, from the ground up:

core        what every stage needs
experiment  what is asked for, and the folder that keeps the results
data        from files to 96x96 faces
training    one member
runs        all members, here or elsewhere
ensemble    members chosen, averaged, corrected, submitted
deploy      the ensemble outside the competition
report      figures and tables
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fkd.deploy.photos import FacePoints
    from fkd.ensemble.ensemble import Ensemble
    from fkd.report.run_page import Figures

__version__ = "0.1.0"
__all__ = ["Ensemble", "__version__", "figures", "load", "predict_photo"]


def load(run: str | Path) -> "Ensemble":
    """Load the members of a run that `fkd select` chose; all finished ones where nothing was selected.

    Args:
        run: the run's folder, or its name in models_store/.

    Returns:
        The ensemble in memory. `predict` takes uint8 faces of shape (n, 96, 96) and gives the points in
        pixels, shape (n, points, 2), and their standard deviation over the members, shape (n, points);
        `radii_px` makes of the latter the radii that hold the true points in nine cases of ten.

    Raises:
        UserError: there is no such run, or it has no finished member.

    Example:
        >>> import numpy as np
        >>> import fkd
        >>> ensemble = fkd.load("models_store/quick-synthetic")
        >>> faces = np.zeros((2, 96, 96), np.uint8)
        >>> points_px, spread_px = ensemble.predict(faces)
        >>> points_px.shape, spread_px.shape
        ((2, 15, 2), (2, 15))
        >>> ensemble.radii_px(spread_px).shape
        (2, 15)
    """
    from fkd.ensemble.ensemble import find_run, load_ensemble
    from fkd.experiment.store import DEFAULT_STORE

    folder = Path(run)
    found = find_run(folder.parent, folder.name) if folder.is_dir() else find_run(DEFAULT_STORE, str(run))
    return load_ensemble(found, lambda line: None)


def figures(ensemble: "Ensemble", data: str = "auto") -> "Figures":
    """The figures of a run's report, to look at one by one, as in a notebook.

    Args:
        ensemble: what `load` gives.
        data: those that the run was trained on: `auto`, `kaggle`, `synthetic` or a folder.

    Returns:
        The figures by name. A notebook shows one as the report does; its `draw()` gives a matplotlib figure
        in your own style.

    Raises:
        UserError: the data cannot be read, or are not those that the run was trained on.

    Example: docs/first-look.ipynb.
    """
    from fkd.data.source import load_data
    from fkd.report.run_page import run_figures

    schema = ensemble.experiment.schema_points
    return run_figures(ensemble.run, load_data(data, lambda line: None, schema))


def predict_photo(ensemble: "Ensemble", photo: str | Path) -> "list[FacePoints]":
    """Find the faces of a whole photo and their points.

    Args:
        ensemble: what `load` gives.
        photo: a JPEG, PNG, WebP, BMP, TIFF or GIF file.

    Returns:
        The faces from left to right, each with its square, `points_px` of shape (points, 2) in pixels of the
        photo as displayed, `spread_px` and `radius_px` of shape (points,), and whether it is `doubtful`: most
        radii are large. No face gives an empty list.

    Raises:
        UserError: the file is missing, damaged, no photo, or larger than 40 megapixels.

    Example:
        >>> import fkd
        >>> ensemble = fkd.load("quick-synthetic")
        >>> [face.points_px.shape for face in fkd.predict_photo(ensemble, "photo.jpg")]
        [(15, 2)]
    """
    from fkd.data.photos import read_photo
    from fkd.deploy.photos import predict_photo as predict

    return predict(ensemble, read_photo(Path(photo)))


def __getattr__(name: str) -> Any:
    if name != "Ensemble":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fkd.ensemble.ensemble import Ensemble

    return Ensemble
