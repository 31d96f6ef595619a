"""The sections of an experiment file, one a file; `fkd/experiment.py` puts them together."""
