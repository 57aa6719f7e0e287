"""Model archives, unpacked within bounds: what they hold comes from whoever may write to the sandbox's S3."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import IO, cast

MAX_BYTES = 64 * 1024 * 1024
"""Of an archive once it is unpacked, headers and all; the sandbox's own models have a few thousand."""

MAX_MEMBERS = 1000


class UnsafeArchive(ValueError):
    """Model data that would be written outside of the model's directory, or that is too much."""


def unpack(archive: bytes, directory: Path) -> None:
    """Extract the directories and regular files of a gzipped tar; links and devices are left out, a model has no use for them.

    (``tarfile``'s own ``filter="data"`` is missing in the first releases of Python 3.10 and 3.11.)

    :param archive: content of a ``model.tar.gz``.
    :param directory: existing directory to extract into.
    :raises UnsafeArchive: for a member whose path leads out of ``directory``, and for more than :data:`MAX_BYTES` or
        :data:`MAX_MEMBERS`; nothing is read beyond either.
    """
    root = directory.resolve()
    with (
        gzip.GzipFile(fileobj=io.BytesIO(archive)) as plain,
        tarfile.open(fileobj=cast(IO[bytes], _Bounded(plain)), mode="r|") as tar,
    ):
        for count, member in enumerate(tar, 1):
            if count > MAX_MEMBERS:
                raise UnsafeArchive(f"the archive has more than {MAX_MEMBERS} members")
            target = (root / member.name).resolve()
            if not target.is_relative_to(root):
                raise UnsafeArchive(f"{member.name!r} leads out of the model's directory")
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


class _Bounded:
    """A stream that ends with an error when more than :data:`MAX_BYTES` are asked of it, a header's own length included."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = MAX_BYTES

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise UnsafeArchive(f"the archive unpacks to more than {MAX_BYTES} bytes")
        self._left -= size
        return self._stream.read(size)
