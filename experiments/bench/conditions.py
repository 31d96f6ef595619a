"""On what the benchmarks run and where their results are: data, machine, versions, day; folders."""

from datetime import date
from pathlib import Path

from fkd.data.source import load_data
from fkd.runs.provenance import provenance

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "experiments/results/benchmarks"
WILD15 = REPOSITORY.parent / "shared/data/wild15"
SYNTHETIC = REPOSITORY / "data/synthetic-7049"
COMPETITION_ROWS, COMPETITION_TEST_ROWS = 7049, 1783


def data_folder() -> Path:
    """wild15 where it is there, else a synthetic set of the competition's size, drawn once."""
    if WILD15.is_dir():
        return WILD15
    if not SYNTHETIC.is_dir():
        from fkd.data.synthetic.data_set import write_synthetic  # loads OpenCV

        print(f"Drawing {SYNTHETIC} ...", flush=True)
        write_synthetic(SYNTHETIC, training_faces=COMPETITION_ROWS, test_faces=COMPETITION_TEST_ROWS)
    return SYNTHETIC


def conditions(folder: Path) -> dict[str, str]:
    """Provenance of a benchmark, as a run has it, with GPU and day."""
    from fkd.training.device import gpus_of_the_driver  # loads Keras

    return {
        "date": date.today().isoformat(),
        "gpu": "; ".join(gpus_of_the_driver()) or "none",
        **provenance(load_data(str(folder), lambda line: None)),
    }
