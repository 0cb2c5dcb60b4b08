"""Static files of the pages: styles, JavaScript modules and third-party libraries, all from this
package and from no other host.

The address of every file has the digest of all of them, so a browser keeps them until one changes,
and modules that import each other by relative addresses are always of one release. `static/vendor`
holds files of others as they were published, with their licences and checksums in its
manifest.json.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import Request, Response
from starlette.staticfiles import StaticFiles

FOLDER: Final = Path(__file__).parent / "static"
KEPT: Final = "public, max-age=31536000, immutable"
CHECKED: Final = "no-cache"

_files: Final = StaticFiles(directory=FOLDER)


@cache
def release() -> str:
    """Return the digest of all files: names and contents."""
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            digest.update(
                path.relative_to(FOLDER).as_posix().encode()
                + b"\0"
                + hashlib.sha256(path.read_bytes()).digest()
            )
    return digest.hexdigest()[:16]


def asset_path(name: str) -> str:
    """Return the path of a file below the API's root."""
    return f"/static/{release()}/{name}"


async def serve(request: Request, asked: str, name: str) -> Response:
    """Answer with a file.

    Parameters
    ----------
    asked
        Digest of the release in the address; files of another release than this one are not cached.
    name
        Path below the folder; one that leads out of it, or to nothing, is answered 404.
    """
    answer = await _files.get_response(name, request.scope)
    answer.headers["Cache-Control"] = KEPT if asked == release() else CHECKED
    return answer
