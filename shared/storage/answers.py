"""What an object storage answers, in the words of files."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

CLIENT: Final[Any] = {"timeout": "60s", "connect_timeout": "5s", "allow_http": True}


@contextmanager
def translated(obstore: Any, url: str, *, gone: bool = False) -> Iterator[None]:
    """Turn the library's errors into those of files; what is not there may be `gone`.

    Raises
    ------
    FileNotFoundError
        If there is no such object.
    FileExistsError
        If another process was faster.
    OSError
        If the storage does not answer, or refuses.
    """
    errors = obstore.exceptions
    try:
        yield
    except (errors.NotFoundError, FileNotFoundError) as error:
        if not gone:
            raise FileNotFoundError(f"there is no object: {_said(error)}") from error
    except (errors.AlreadyExistsError, errors.PreconditionError) as error:
        raise FileExistsError(f"another process was faster: {_said(error)}") from error
    except errors.BaseError as error:
        raise OSError(None, f"{url} does not answer: {_said(error)}") from error


def _said(error: Exception) -> str:
    """Return the first line of what the library says, which has a trace of its own below."""
    return str(error).strip().partition("\n")[0][:300]
