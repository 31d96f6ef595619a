"""Starting a further member of the same architecture, against building, compiling and tracing it anew."""

import tempfile
from pathlib import Path

from experiments.bench.rows import Row, side_by_side
from experiments.bench.subjects.one_member import Published, published
from fkd.training.network_pool import NetworkPool


def measure(data_folder: Path) -> list[Row]:
    """Seconds from a member's beginning to its first trained batch, which is of one face: hardly a step."""
    member = published(data_folder, training_rows=1, validation_rows=1)
    warm = member.pool()
    _start(member, warm)

    # Without keras.utils.clear_session, which takes time itself and slows the next start, whichever it is.
    further_s, anew_s = side_by_side(lambda: _start(member, warm), lambda: _start(member, member.pool()))
    detail = f"{further_s:.2f} s against {anew_s:.2f} s"
    return [
        Row(
            "starting a further member of the same architecture",
            "building, compiling and tracing it anew",
            anew_s / further_s,
            5.0,
            detail,
        )
    ]


def _start(member: Published, pool: NetworkPool) -> None:
    with tempfile.TemporaryDirectory() as store:
        steps = member.start(1, pool, Path(store)).steps()
        model, batch = next(steps)
        pool.train([model], [batch])
        steps.close()
