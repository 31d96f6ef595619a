"""A search over settings by Ray Tune: trials are runs of the store, and those that lag behind end early.

A trial resumes from the store, so the same command resumes a search, and more trials extend it.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from fkd.core.errors import UserError
from fkd.core.interrupt import InterruptedTrainingError, StopRequest
from fkd.core.say import Say
from fkd.data.faces import FaceData
from fkd.experiment.experiment import Experiment
from fkd.experiment.specialists import MemberId
from fkd.experiment.store import HistoryColumn, MemberFolder, Run, open_run
from fkd.runs.engines.ray_tasks import MACHINES_LOST_AT_MOST, member_cpus, task_resources
from fkd.runs.engines.relay import Event, Relay
from fkd.runs.job import Job
from fkd.runs.members import train_in_own_process
from fkd.runs.provenance import provenance
from fkd.runs.remote.session import remote_session
from fkd.runs.search.trials import Outcome, Trial
from fkd.runs.splits import Split
from fkd.runs.status import recorded_epochs
from fkd.training.device import take_share

# ASHA (Li et al. 2018) lets one trial in this many continue to as many times the epochs.
_REDUCTION = 3

MakeSplits = Callable[[Run, Experiment, FaceData, Say], dict[str, Split]]


def search(
    trials: Sequence[Trial],
    faces: FaceData,
    specialist: str,
    first_epochs: int,
    store_folder: Path,
    store_url: str | None,
    splits: MakeSplits,
    say: Say,
    stop: StopRequest,
) -> list[Outcome]:
    """Train a member of the specialist in every trial on the connected cluster; the best outcome first.

    splits: (run, experiment, data, say) -> the splits of a trial. first_epochs: no trial ends earlier.
    Raises UserError where all trials fail, and InterruptedTrainingError when a stop is asked for.
    """
    store_folder = store_folder.resolve()
    jobs = [_job(trial, faces, specialist, store_folder, store_url, splits, say) for trial in trials]
    resources = task_resources(trials[0].experiment.resources, say)
    longest = max(trial.experiment.training.max_epochs for trial in trials)
    shown = _Shown(trials, say)
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # fkd's own asks for a stop
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # with it verbose=0 is not silent
    with tempfile.TemporaryDirectory(prefix="fkd-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(
                tune.with_parameters(_try, jobs=jobs),
                {"cpu": resources["num_cpus"], "gpu": resources["num_gpus"]},
            ),
            param_space={"trial": tune.grid_search(list(range(len(trials))))},
            tune_config=tune.TuneConfig(
                reuse_actors=True,  # TensorFlow takes longer to load than many a trial
                scheduler=ASHAScheduler(
                    time_attr="epoch",
                    metric="best_rmse_px",
                    mode="min",
                    max_t=longest + 1,  # whoever comes to the last epoch writes the member's files, too
                    grace_period=first_epochs if first_epochs < longest else longest + 1,
                    reduction_factor=_REDUCTION,
                ),
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[shown],
                stop=_Stopper(stop),
                # Ray Tune counts a trial's own errors, too, but it raises none.
                failure_config=tune.FailureConfig(max_failures=MACHINES_LOST_AT_MOST),
            ),
        ).fit()
    if stop.reason:
        raise InterruptedTrainingError(f"{stop.reason}: the trials are saved; run the same command again")
    if not any(outcome.epochs for outcome in shown.outcomes):
        raise UserError("all trials failed, as reported above; narrow the space")
    return sorted(shown.outcomes, key=lambda outcome: outcome.best_rmse_px)


def _job(
    trial: Trial,
    faces: FaceData,
    specialist: str,
    store_folder: Path,
    store_url: str | None,
    splits: MakeSplits,
    say: Say,
) -> Job:
    """A trial's run opened in the store, and what trains the specialist's first member in it."""
    run = Run(store_folder / f"{trial.name}-{faces.name}")
    with remote_session(store_url, store_folder, run, say) as remote:
        open_run(run, trial.experiment, provenance(faces), say)
        rows = splits(run, trial.experiment, faces, say)
        if remote:
            remote.push(run)
    return Job(
        run=run,
        experiment=trial.experiment,
        faces=faces.training,
        splits=rows,
        test=faces.test,
        store_url=store_url,
        only=[MemberId(specialist, 0)],
    )


def _try(config: Mapping[str, int], jobs: Sequence[Job]) -> None:
    """A trial as Ray Tune calls it: train, and report every epoch, those of former calls at once."""
    job = jobs[config["trial"]]
    [member] = job.only
    take_share(member_cpus(job.experiment.resources))
    try:
        train_in_own_process(job, Relay(_Reports(job.run.member(*member))), StopRequest())
    except Exception as error:  # to be reported, not tried again; the loss of a machine raises nothing here
        failure = str(error) if isinstance(error, UserError) else repr(error)
        tune.report({"epoch": 0, "best_rmse_px": float("inf"), "failure": failure})


class _Reports:
    """Tells Ray Tune of every epoch of a member, those of former calls too."""

    def __init__(self, folder: MemberFolder) -> None:
        self._folder, self._epoch = folder, 0

    def __call__(self, event: Event) -> None:
        method, arguments = event
        if method == "epoch":
            *_, best_rmse_px, _ = arguments
            self._report(float(best_rmse_px))
        elif method in ("start_member", "finish_elsewhere"):
            for best_rmse_px in _best_so_far(self._folder):
                self._report(best_rmse_px)

    def _report(self, best_rmse_px: float) -> None:
        self._epoch += 1
        tune.report({"epoch": self._epoch, "best_rmse_px": best_rmse_px})


class _Shown(tune.Callback):
    """Says and keeps how every trial came out."""

    def __init__(self, trials: Sequence[Trial], say: Say) -> None:
        self._trials, self._say = trials, say
        self.outcomes: list[Outcome] = []

    def __getstate__(self) -> dict[str, Any]:
        return {}  # nothing of this is wanted in the copy that Ray Tune keeps

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Ray Tune when a trial has ended, early or not."""
        result = trial.last_result
        outcome = Outcome(self._trials[trial.config["trial"]], result["epoch"], result["best_rmse_px"])
        self.outcomes.append(outcome)
        failure = f" ({result['failure']})" if "failure" in result else ""
        self._say(f"{len(self.outcomes)} of {len(self._trials)}: {outcome}{failure}")


class _Stopper(tune.Stopper):
    """Ends all trials when a stop is asked for."""

    def __init__(self, stop: StopRequest) -> None:
        self._stop = stop

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        """Asked by Ray Tune after every result."""
        return bool(self._stop.reason)


def _best_so_far(folder: MemberFolder) -> list[float]:
    """The lowest validation RMSE after each epoch that is recorded, in pixels."""
    errors_px = [record[HistoryColumn.VALIDATION_RMSE_PX] for record in recorded_epochs(folder)]
    return [min(errors_px[: epoch + 1]) for epoch in range(len(errors_px))]
