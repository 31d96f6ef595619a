import numpy as np
import pandas as pd

from fkd.data.faces import FaceData, Faces
from fkd.runs.provenance import provenance

NOBODY = Faces(np.zeros((0, 96, 96), np.uint8), np.zeros((0, 15, 2), np.float32), np.zeros(0, np.int64))


def test_versions_machine_and_data_are_named():
    data = FaceData("faces", "c" * 64, ("nose_tip",), NOBODY, NOBODY, None, pd.DataFrame(), None)
    record = provenance(data)
    assert (record["data"], record["data_checksum"]) == ("faces", "c" * 64)
    assert record["numpy"] == np.__version__
    assert record["commit"]
