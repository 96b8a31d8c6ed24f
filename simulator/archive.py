"""Reading recorded files one at a time, from folders, archives and compressed files alike."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

_ARCHIVES = (".tar", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2")


def recorded_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every JSON file in `path`, which may be a folder, an archive or one file.

    Raises FileNotFoundError or ValueError, naming the path and what to do.
    """
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            if inner.is_file() and _is_readable(inner.name):
                yield from recorded_files(inner)
    elif not path.exists():
        raise FileNotFoundError(f"{path} does not exist: give a folder, an archive or a file of recorded payloads")
    elif not _is_readable(path.name):
        raise ValueError(f"{path} is no recording: give .json, .json.xz, .json.gz, .tar.xz, .tar.gz or .zip")
    else:
        try:
            yield from _content(path)
        except (OSError, EOFError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} cannot be read ({error}): is the file complete?") from None


def _is_readable(name: str) -> bool:
    return name.endswith((*_ARCHIVES, ".zip", ".json", ".json.xz", ".json.gz"))


def _content(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.name.endswith(_ARCHIVES):
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() and member.name.endswith(".json") else None
                if file is not None:
                    yield member.name, file.read()
    elif path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as zipped:
            for name in sorted(zipped.namelist()):
                if name.endswith(".json"):
                    yield name, zipped.read(name)
    elif path.name.endswith(".xz"):
        yield path.name, lzma.decompress(path.read_bytes())
    elif path.name.endswith(".gz"):
        yield path.name, gzip.decompress(path.read_bytes())
    else:
        yield path.name, path.read_bytes()
