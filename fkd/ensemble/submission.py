"""From predictions to the competition's CSV, and the score of such a CSV."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fkd.core.errors import UserError, one_line
from fkd.core.files import atomic_write_bytes, read_regular
from fkd.core.keypoints import IMAGE_SIZE_PX, Schema
from fkd.data.csv_cells import LARGEST_TABLE_BYTES, MOST_TABLE_ROWS, open_csv
from fkd.data.faces import FaceData
from fkd.experiment.records import SubmissionRecord, write_record

_MOST_BYTES = 2**30
_COLUMNS = ["RowId", "Location"]
_NUMBERS = {"RowId": (np.int64, "a whole number"), "Location": (np.float64, "a number")}
_LARGEST_NUMBER = 2**53  # up to it float64 holds every whole number; the square of any is finite


def submission_table(
    lookup: pd.DataFrame,
    image_ids: npt.NDArray[np.int64],
    predictions: npt.NDArray[np.floating],
    schema: Schema,
) -> pd.DataFrame:
    """RowId and Location (pixels, clipped to the frame) for every row of the lookup table, in its order.

    lookup: columns RowId, ImageId, FeatureName. image_ids: shape (images,).
    predictions: pixels, shape (images, points, 2) in schema order.
    Raises UserError for a RowId or image that is listed twice, and where a row has no prediction, naming it.
    """
    _refuse_repeats(lookup["RowId"], "lookup table")
    _refuse_repeats(pd.Series(image_ids, name="ImageId"), "test images")
    image = pd.Index(image_ids).get_indexer(lookup["ImageId"])
    column = pd.Index(schema.columns).get_indexer(lookup["FeatureName"])
    values = predictions.reshape(len(image_ids), len(schema.columns))
    known = (image >= 0) & (column >= 0)
    locations_px = np.full(len(lookup), np.nan)
    locations_px[known] = values[image[known], column[known]]
    missing = np.flatnonzero(~np.isfinite(locations_px))
    if len(missing):
        first = lookup.iloc[missing[0]]
        raise UserError(
            f"submission: expected a prediction for all {len(lookup)} rows of the lookup table, "
            f"received none for {len(missing)}, first RowId {first.RowId} "
            f"(ImageId {first.ImageId}, {first.FeatureName}); check that the lookup table, the test images "
            f"and the experiment's points belong together"
        )
    return pd.DataFrame(
        {"RowId": lookup["RowId"].to_numpy(), "Location": locations_px.clip(0, IMAGE_SIZE_PX - 1)}
    )


def write_submission(table: pd.DataFrame, path: Path) -> Path | None:
    """Write the CSV; an earlier one with other content is kept beside it as `submission-<n>.csv`.

    Its checksum is written into submission.json, by which a report tells whether it has been changed since.
    Returns the path under which the earlier one was kept, None if there was none or its content was the same.
    """
    # A ten-thousandth of a pixel is below the score's precision.
    data = table.to_csv(index=False, float_format="%.4f", lineterminator="\n").encode()
    try:
        earlier = read_regular(path, _MOST_BYTES) if path.exists() else None
    except ValueError as error:
        raise UserError(
            f"{path}: expected a former submission or none, received {error}; move it away"
        ) from error
    kept = None
    if earlier != data:
        if earlier is not None:
            kept = _free_name(path)
            atomic_write_bytes(kept, earlier)
        atomic_write_bytes(path, data)
    write_record(path.with_suffix(".json"), SubmissionRecord(sha256=hashlib.sha256(data).hexdigest()))
    return kept


def total_rmse_px(submission: pd.DataFrame, solution: pd.DataFrame) -> float:
    """RMSE in pixels over all values; raises UserError as `score` does."""
    return float(np.sqrt(_squared_errors(submission, solution).mean()))


def score_sentence(submission: pd.DataFrame, faces: FaceData, schema: Schema) -> str:
    """What a submission scores against the hidden labels, which are known, and what the mean shape would."""
    mean_shape_px = np.nanmean(faces.training.keypoints, axis=0)
    predictions = np.broadcast_to(mean_shape_px, (len(faces.test.ids), *mean_shape_px.shape))
    mean = submission_table(faces.lookup, faces.test.ids, predictions, schema)
    assert faces.solution is not None
    return (
        f"Score: {total_rmse_px(submission, faces.solution):.3f} px RMSE against the hidden labels; "
        f"always answering the mean shape gives {total_rmse_px(mean, faces.solution):.3f} px"
    )


def score(
    submission: pd.DataFrame, solution: pd.DataFrame, lookup: pd.DataFrame | None = None
) -> pd.DataFrame:
    """RMSE in pixels over all values, by Usage, by keypoint and by feature.

    submission: columns RowId, Location. solution: the same, with Usage and FeatureName where known.
    lookup: gives FeatureName by RowId if the solution has none; without either these parts are left out.
    Returns the columns part (all, Usage, keypoint, feature), name, values (how many) and rmse_px.
    Raises UserError if the two do not have the same RowIds, once each, or a Location is not a finite number.
    """
    squared_px = _squared_errors(submission, solution)
    parts = {"all": pd.Series("all", squared_px.index)}
    if "Usage" in solution:
        parts["Usage"] = pd.Series(solution["Usage"].to_numpy(), squared_px.index)
    features = _feature_names(solution, lookup, squared_px.index)
    if features is not None:
        parts |= {"keypoint": features.str.replace("_[xy]$", "", regex=True), "feature": features}
    tables = [_rmse_by(squared_px, names, part) for part, names in parts.items()]
    return pd.concat(tables, ignore_index=True)


def read_submission(path: Path) -> pd.DataFrame:
    """A submission's RowId (int64) and Location (float64).

    Raises UserError, naming the file and the line, if the file is missing or empty, is no CSV, has other
    columns or holds text where a number belongs.
    """
    table = _read_columns(path, "RowId", "Location")
    if list(table.columns) != _COLUMNS:
        raise UserError(
            f"{path}: expected the columns RowId,Location, received {','.join(table.columns):.200}; "
            f"give a submission CSV"
        )
    return table


def read_solution(path: Path) -> pd.DataFrame:
    """A solution's RowId and Location, its other columns as text; raises UserError like `read_submission`."""
    return _read_columns(path, "RowId", "Location")


def read_features(path: Path) -> pd.DataFrame:
    """A lookup table's RowId and FeatureName; raises UserError like `read_submission`."""
    return _read_columns(path, "RowId", "FeatureName")


def _free_name(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
        number += 1
    return kept


def _refuse_repeats(ids: pd.Series, what: str) -> None:
    repeated = ids[ids.duplicated()]
    if len(repeated):
        raise UserError(
            f"{what}: expected every {ids.name} once, received {ids.name} {repeated.iloc[0]} more than once; "
            f"remove the repeated rows"
        )


def _refuse_other_rows(received: pd.Index, expected: pd.Index) -> None:
    missing, extra = expected.difference(received), received.difference(expected)
    if len(missing) or len(extra):
        found = [
            f"{len(ids)} {word} (first {ids[0]})"
            for word, ids in (("missing", missing), ("extra", extra))
            if len(ids)
        ]
        raise UserError(
            f"submission: expected the solution's {len(expected)} RowIds, received {len(received)} with "
            f"{' and '.join(found)}; score a CSV made for this data set"
        )


def _locations(table: pd.DataFrame, what: str) -> pd.Series:
    """Location by RowId as float64."""
    _refuse_repeats(table["RowId"], what)
    locations_px = pd.to_numeric(table["Location"], errors="coerce").astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(locations_px))
    if len(bad):
        received, row_id = table["Location"].iloc[bad[0]], table["RowId"].iloc[bad[0]]
        raise UserError(
            f"{what}: expected a number of pixels in every Location, received {received} at RowId {row_id}; "
            f"give a number there"
        )
    return pd.Series(locations_px.to_numpy(), table["RowId"].to_numpy())


def _squared_errors(submission: pd.DataFrame, solution: pd.DataFrame) -> pd.Series:
    """Squared pixels by RowId, in the solution's order."""
    predicted, wanted = _locations(submission, "submission"), _locations(solution, "solution")
    _refuse_other_rows(predicted.index, wanted.index)
    return (predicted.reindex(wanted.index) - wanted) ** 2


def _feature_names(
    solution: pd.DataFrame, lookup: pd.DataFrame | None, row_ids: pd.Index
) -> pd.Series | None:
    source = solution if "FeatureName" in solution else lookup
    if source is None:
        return None
    _refuse_repeats(source["RowId"], "lookup table")
    names = pd.Series(source["FeatureName"].to_numpy(), source["RowId"].to_numpy())
    return names.reindex(row_ids)


def _rmse_by(squared_px: pd.Series, names: pd.Series, part: str) -> pd.DataFrame:
    groups = squared_px.groupby(names, sort=False)
    means = groups.mean()
    return pd.DataFrame(
        {
            "part": part,
            "name": means.index,
            "values": groups.size().to_numpy(),
            "rmse_px": np.sqrt(means.to_numpy()),
        }
    )


def _read_columns(path: Path, *columns: str) -> pd.DataFrame:
    """A CSV with at least these columns; RowId and Location become numbers, the others stay text."""
    table = _read_text(path)
    if any(name not in table for name in columns):
        raise UserError(
            f"{path}: expected the columns {' and '.join(columns)}, received "
            f"{','.join(map(str, table.columns)):.200}; name them in the first line"
        )
    for name in columns:
        if name in _NUMBERS:
            table[name] = _numbers(path, table[name])
    return table


def _numbers(path: Path, texts: pd.Series) -> pd.Series:
    dtype, kind = _NUMBERS[str(texts.name)]
    numbers = pd.to_numeric(texts, errors="coerce")
    good = (numbers.abs() <= _LARGEST_NUMBER) & ((numbers % 1 == 0) | (dtype is np.float64))
    if not good.all():
        row = int(np.argmin(good))
        raise UserError(
            f"{path}: line {row + 2}, {texts.name}: expected {kind}, received {texts.iloc[row]!r:.80}; "
            f"correct that line"
        )
    return numbers.astype(dtype)


def _read_text(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: expected a CSV file, found none; check the path")
    try:
        with warnings.catch_warnings():
            # More values than headings in every line is only a warning in pandas.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            with open_csv(path, LARGEST_TABLE_BYTES) as stream:
                table = pd.read_csv(
                    stream,
                    dtype=str,
                    keep_default_na=False,
                    index_col=False,
                    encoding="utf-8-sig",
                    encoding_errors="replace",
                    nrows=MOST_TABLE_ROWS + 1,
                )
    except (ValueError, pd.errors.ParserWarning) as error:
        raise UserError(f"{path}: expected a CSV with a header line; {one_line(error)}") from error
    if len(table) > MOST_TABLE_ROWS:
        raise UserError(f"{path}: expected at most {MOST_TABLE_ROWS:,} rows, received more; check the file")
    if table.empty:
        raise UserError(f"{path}: expected rows below the header, received none; give the whole file")
    return table
