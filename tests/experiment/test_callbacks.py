import subprocess
import sys
from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.experiment.callbacks import Callbacks
from fkd.experiment.settings import Settings, validated


class _File(Settings):
    callbacks: Callbacks = ()


@pytest.mark.parametrize(
    ("callback", "problem"),
    [
        ({"ModelCheckpoint": {"filepath": "a.keras"}}, "ModelCheckpoint: fkd keeps the best weights itself"),
        ({"keras.callbacks.RemoteMonitor": {}}, "RemoteMonitor: after a resume it would send every epoch"),
        ({"TensorBoard": {}}, "TensorBoard: use the option --tensorboard"),
        ({"os.system('x')": {}}, "expected a Keras callback's name or a class's import path"),
        ({"A": {}, "B": {}}, "expected one name with its arguments, received 2"),
        ("EarlyStopping", "Input should be a valid dictionary"),
    ],
)
def test_what_fkd_does_itself_is_refused_with_the_way_to_it(callback: object, problem: str):
    with pytest.raises(UserError) as raised:
        validated(_File, {"callbacks": [{"TerminateOnNaN": {}}, callback]}, "some.yaml")
    [line] = str(raised.value).splitlines()
    assert line.startswith(f"some.yaml: callbacks.1: {problem}")


def test_reading_a_file_imports_nothing_that_it_names(tiny_experiment: Path):
    program = (
        "from fkd.experiment.files import load_experiment; import sys;"
        f"load_experiment({str(tiny_experiment)!r}, ['callbacks=[{{antigravity.Class: {{}}}}]']);"
        "assert not {'antigravity', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
