# ruff: noqa: F401
"""Everything that calls of fkd import, imported once for the processes that are forked from this one."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sklearn.isotonic
import sklearn.model_selection

import fkd.cli
import fkd.deploy.export
import fkd.ensemble.predict
import fkd.pipeline
import fkd.report.run_page
import fkd.runs.members
import fkd.training.device
