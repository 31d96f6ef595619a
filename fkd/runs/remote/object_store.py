"""Whole objects behind a URL (s3://, gs://, file://, ...): read, written, created, listed; through fsspec.

Nothing here retries or waits. Whatever a remote store raises comes through, and that is much more than
OSError: callers catch Exception.
"""

import contextlib
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from fkd.core.errors import UserError, one_line
from fkd.core.files import atomic_write_bytes

_MARKER = "fkd-store.txt"
# The instance is ours alone and remembers no listings, so that other machines' writes are seen.
_OPTIONS: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
# One request reads an object, so that it never is half of one version and half of the next.
# s3fs repeats requests itself; botocore need not do so within each of those.
_S3_OPTIONS: dict[str, Any] = {"max_concurrency": 1, "config_kwargs": {"retries": {"max_attempts": 0}}}


class ObjectStore:
    """Objects under a URL, named by keys such as `run/four/07/state.npz`.

    Raises UserError at once for an unknown protocol, a package that is not installed, or a place that
    cannot be written.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        protocol, separator, _ = url.partition("://")
        if not separator:
            raise UserError(f"{url}: expected the URL of a remote store, e.g. s3://bucket/prefix")
        options = _OPTIONS | (_S3_OPTIONS if protocol in ("s3", "s3a") else {})
        try:
            self._files, self._root = fsspec.url_to_fs(url, **options)
        except ImportError as error:
            raise UserError(f"{url}: {one_line(error)} (pip install)") from error
        except ValueError as error:
            raise UserError(f"{url}: {one_line(error)}; use s3://, gs:// or file://") from error
        self._check()

    def read(self, key: str) -> bytes:
        """The whole object; raises FileNotFoundError where there is none."""
        content: bytes = self._files.cat_file(self._path(key))
        return content

    def write(self, key: str, content: bytes) -> None:
        """Put or replace an object; a reader sees the former one or this one."""
        if isinstance(self._files, LocalFileSystem):
            path = Path(self._path(key))
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_bytes(path, content)
        else:
            self._files.pipe_file(self._path(key), content)

    def create(self, key: str, content: bytes) -> None:
        """Put an object where there is none; raises FileExistsError where there is one.

        Exclusive on S3 (If-None-Match) and on local folders; other stores may let two creators through,
        the last of which has written.
        """
        if isinstance(self._files, LocalFileSystem):
            path = Path(self._path(key))
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
        else:
            self._files.pipe_file(self._path(key), content, mode="create")

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(key))

    def keys(self, folder: str) -> list[str]:
        """Keys of all objects below a folder."""
        return [path.removeprefix(self._path("")) for path in self._files.find(self._path(folder))]

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _check(self) -> None:
        try:
            self.write(_MARKER, b"Runs of fkd are copied here.\n")
        except FileNotFoundError as error:
            raise UserError(f"{self.url}: {one_line(error)}; create it first, or correct the URL") from error
        except Exception as error:
            raise UserError(
                f"{self.url}: expected a store that can be written, received {describe(error)}; "
                "check the credentials, the URL and the network"
            ) from error


def describe(error: BaseException) -> str:
    """An error on one line, e.g. `ConnectionRefusedError: ...`."""
    return f"{type(error).__name__}: {one_line(error)}"
