"""The card of an exported model: what it is, how it is used, what it is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fkd.core.keypoints import IMAGE_SIZE_PX, MAX_GREY
from fkd.data.faces import FaceData
from fkd.deploy.model_formats import FORMATS, Format
from fkd.ensemble.selection import SelectionReport
from fkd.ensemble.stacking import Stack
from fkd.experiment.experiment import Experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import Run
from fkd.runs.provenance import provenance

CARD = "README.md"


def predicted_points(experiment: Experiment, chosen: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Whether the chosen specialists predict a point, shape (points of the schema,)."""
    schema = experiment.schema_points
    indices = [experiment.point_indices(specialist) for specialist in chosen]
    return np.isin(np.arange(len(schema.names)), np.concatenate(indices))


def point_names(experiment: Experiment, points: npt.NDArray[np.bool_]) -> list[str]:
    return [name for name, wanted in zip(experiment.schema_points.names, points, strict=True) if wanted]


CROP_FIRST = "cut the face out before, framed like the training faces"


_CARD = """# {run}: keypoints of a face

Networks that fkd trained, averaged inside one model: {number}. It takes grey faces and returns their points.

| | |
|---|---|
| input | `images`: uint8, shape (faces, {size}, {size}), grey values 0 to {white} |
| output | float32, shape (faces, {points}, 2): x to the right and y downwards, pixels of the {size}x{size} \
image, pixel centres at whole numbers |
| run | `{run}`, experiment `{experiment}` ({network}) |
| data | `{data}`, SHA-256 `{checksum}` |
| trained with | {trained_with} |
| exported with | {exported_with} |

## Use it

fkd is not needed, only the packages that the lines import.

{usage}
## Points, in the order of the output

{names}

Left and right are the person's own.{left_out}

## Members and what they are worth

{members}

A member chosen twice weighs double; those of a stack have weights of their own for every point. No \
validation face, and no other one of its group (a person or a photo, as far as known), trained a member of \
the same specialist. The members were chosen on one half of the groups and scored on the other, both ways (a \
stack on four fifths, scored on the fifth), so that the choice does not flatter the figure. Each best epoch \
was picked on the same faces, which does, a little.

## Checked

{checks}
## Limits

- It expects one face a picture, like those of `{data}`: {crop_first}. It answers for any \
picture, also for one without a face, and gives no measure of doubt.
- It is no better than its training faces: people, poses and cameras that are rare there fare worse.
- Weights carry the terms of the data that trained them; faces for research make a model for research.
"""


def model_card(
    run: Run,
    experiment: Experiment,
    reports: Sequence[SelectionReport],
    faces: FaceData,
    differences_px: Mapping[str, float],
    faces_checked: int,
) -> str:
    """The model card in Markdown."""
    trained = run.read_provenance()
    chosen = {report.specialist: report.chosen for report in reports}
    predicted = predicted_points(experiment, chosen)
    names, missing = point_names(experiment, predicted), point_names(experiment, ~predicted)
    return _CARD.format(
        run=run.name,
        number=sum(len(set(report.chosen)) for report in reports),
        size=IMAGE_SIZE_PX,
        white=MAX_GREY,
        points=len(names),
        experiment=experiment.name,
        network=experiment.network.kind,
        data=trained["data"],
        checksum=trained["data_checksum"],
        trained_with=_versions(trained),
        exported_with=_versions(provenance(faces)),
        usage="\n".join(_usage(FORMATS[name]) for name in differences_px),
        names="\n".join(f"{i}. `{name}`" for i, name in enumerate(names)),
        left_out=f" Not predicted: {', '.join(missing)}." if missing else "",
        members=_members(experiment, reports),
        checks="".join(
            f"- `{FORMATS[name].file}`, read again: on {faces_checked} faces at most {difference_px:.1e} px "
            "from fkd's own predictions\n"
            for name, difference_px in differences_px.items()
        ),
        crop_first=CROP_FIRST,
    )


def _usage(written: Format) -> str:
    """A block of Python that reads face.png."""
    package, load, predict = written.usage
    return (
        f"```python\n{package}\nimport numpy as np\nfrom PIL import Image\n\n"
        f'face = np.asarray(Image.open("face.png").convert("L").resize(({IMAGE_SIZE_PX}, {IMAGE_SIZE_PX})))\n'
        f"{load}\n{predict}\n```\n"
    )


def _members(experiment: Experiment, reports: Sequence[SelectionReport]) -> str:
    lines = ["| specialist | points | members, weight | validation RMSE px |", "|---|---:|---|---:|"]
    for report in reports:
        points = experiment.point_indices(report.specialist)
        weights = ", ".join(
            f"{MemberId(report.specialist, index).name} x{_weight(report.chosen, index)}"
            for index in sorted(set(report.chosen))
        )
        worth_px = report.average_of_chosen.cross_validated_px
        worth = "too few groups to say" if worth_px is None else f"{worth_px:.3f}"
        lines.append(f"| {report.specialist} | {len(points)} | {weights} ({report.policy}) | {worth} |")
    return "\n".join(lines)


def _weight(chosen: Sequence[int], index: int) -> str:
    """How often a member was chosen; of a stack the least and the greatest of its weights by point."""
    if not isinstance(chosen, Stack):
        return str(chosen.count(index))
    weights = chosen.weights[chosen.index(index)]
    return f"{weights.min():.2f} to {weights.max():.2f}"


def _versions(made: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in made.items() if not name.startswith("data"))
