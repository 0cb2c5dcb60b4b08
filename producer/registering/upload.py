"""An upload: a multipart body in a folder of its own, each file by its field's name.

The body is written to disk as it comes, unpacked and parted there, so that none of it is in memory.
The folder holds a lock as long as somebody works with it. One without a lock was left by a process
that was killed, and the next upload removes it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from driftgauge.producer.http.problems import Problem, invalid
from driftgauge.producer.intake.encodings import Coding, TooMuch, unpacked
from driftgauge.shared.reference.schema import FieldError
from driftgauge.shared.registration.fields import FIELDS, FILES, field_faults

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FOLDER: Final = "uploads"
"""Folder of the uploads in the data folder."""
LOCK: Final = "lock"
BODY: Final = "body"
PIECE: Final = 1 << 20
MOST_PARTS: Final = 10_000
MOST_HEADER: Final = 8 << 10
MOST_TEXT: Final = 1 << 20
"""Most parts of a body, bytes of a part's header, and bytes of all fields that are no files."""


@dataclass
class Upload:
    """What was uploaded.

    Parameters
    ----------
    folder
        Folder of its files.
    lock
        Descriptor of the file that is locked as long as somebody works with the folder.
    files
        Each part that is a file, by the name of its field; the artifact keeps its suffix.
    fields
        The other parts: name to texts.
    """

    folder: Path
    lock: int
    files: dict[str, Path] = field(default_factory=dict)
    fields: dict[str, list[str]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(path.stat().st_size for path in self.files.values())

    def named(self, text: str) -> str:
        """Return a message with the names of the parts for the paths of their files."""
        for name, path in self.files.items():
            text = text.replace(str(path), f"The {name}" if text.startswith(str(path)) else name)
        return text.replace(str(self.folder), "the upload")

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.lock)


def open_upload(data_dir: Path) -> Upload:
    """Make the folder of an upload, and remove those that were left behind."""
    home = (data_dir / FOLDER).absolute()
    home.mkdir(parents=True, exist_ok=True)
    with (home / LOCK).open("wb") as all_of_them:
        fcntl.flock(all_of_them, fcntl.LOCK_EX)
        for left in home.iterdir():
            if left.is_dir() and not _is_held(left):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=home))
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return Upload(folder, lock)


def _is_held(folder: Path) -> bool:
    """Tell whether somebody works with the folder of an upload."""
    try:
        with (folder / LOCK).open("rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # its maker was killed before
        return False
    except OSError:
        return True
    return False


def part(upload: Upload, content_type: str, coding: Coding | None, most: int) -> None:
    """Part the body of an upload into its files and fields; the body is removed.

    Parameters
    ----------
    content_type
        Header of the request, which names the boundary.
    coding
        How the body is compressed.
    most
        Most bytes of the body when it is unpacked.

    Raises
    ------
    Problem
        413 if there is too much of something, 415 if it is no multipart body, 400 if it cannot be
        read, 422 for each field or file that cannot be used.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise Problem(
            415, "A registration is multipart/form-data: files and fields; say so as Content-Type."
        )
    body = upload.folder / BODY
    parts = _Parts(upload)
    try:
        parser = MultipartParser(options[b"boundary"], parts.callbacks())
        with body.open("rb") as file:
            for piece in _pieces(file, coding, most):
                parser.write(piece)
        parser.finalize()
    except TooMuch:
        raise Problem(413, f"The body has more than {most:,} bytes when it is unpacked.") from None
    except MultipartParseError as error:
        raise Problem(400, f"The body is no multipart/form-data: {error}") from error
    finally:
        parts.close()
        body.unlink()
    if not parts.ended:
        raise Problem(400, "The body is no whole multipart/form-data: its end is missing.")
    faults = field_faults(upload.fields) | parts.faults
    if "reference" not in upload.files and "reference" not in faults:
        faults["reference"] = "is missing: send the reference rows as a file"
    if faults:
        raise invalid([FieldError(f"/{name}", fault) for name, fault in faults.items()])


def _pieces(file: IO[bytes], coding: Coding | None, most: int) -> Iterator[bytes]:
    if coding is not None:
        yield from unpacked(file, coding, most)
        return
    while piece := file.read(PIECE):
        yield piece


class _Parts:
    """What the parser tells of, part by part."""

    def __init__(self, upload: Upload) -> None:
        self.ended = False
        self.faults: dict[str, str] = {}
        self._upload = upload
        self._header = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._file: IO[bytes] | None = None
        self._text: list[bytes] | None = None
        self._count = 0
        self._size = 0

    def callbacks(self) -> "MultipartCallbacks":
        """Return the functions that the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def close(self) -> None:
        """Close a file of which the end did not come."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._count += 1
        self._headers = {}
        if self._count > MOST_PARTS:
            raise Problem(413, f"The body has more than {MOST_PARTS:,} parts.")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header = self._bounded(self._header, data[start:end])

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value = self._bounded(self._value, data[start:end])

    def _bounded(self, known: bytes, more: bytes) -> bytes:
        if len(known) + len(more) > MOST_HEADER or len(self._headers) > 100:
            raise Problem(400, f"The header of a part has more than {MOST_HEADER:,} bytes.")
        return known + more

    def _on_header(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode(errors="replace")
        given = options.get(b"filename", b"").decode(errors="replace")
        self._text = None
        if self._name in FILES:
            self._open_file(given)
        elif b"filename" in options or self._name not in FIELDS:
            self.faults[self._name[:40]] = (
                f"is no part of a registration; there are the files {', '.join(FILES)} and the "
                f"fields {', '.join(FIELDS)}"
            )
        else:
            self._text = []

    def _open_file(self, given: str) -> None:
        if self._name in self._upload.files:
            self.faults[self._name] = "stands there more than once"
            return
        suffix = Path(given).suffix.lower() if self._name == "artifact" else ""
        if not suffix[1:].isalnum() and suffix:
            suffix = ""
        path = self._upload.folder / f"{self._name}{suffix}"
        self._upload.files[self._name] = path
        self._file = path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
        elif self._text is not None:
            self._size += end - start
            if self._size > MOST_TEXT:
                raise Problem(413, f"The fields have more than {MOST_TEXT:,} bytes.")
            self._text.append(data[start:end])

    def _end(self) -> None:
        self.close()
        if self._text is not None:
            text = b"".join(self._text).decode(errors="replace")
            self._upload.fields.setdefault(self._name, []).append(text)
            self._text = None

    def _finish(self) -> None:
        self.ended = True
