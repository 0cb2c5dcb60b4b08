"""Answers held against the OpenAPI document: every answer that a test of the API gets is."""

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
from fastapi import FastAPI

from driftgauge.producer.http.problems import MEDIA_TYPE

JSON = {"application/json", MEDIA_TYPE}


class Document:
    """An OpenAPI document, and what of it an answer breaks."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._forms = [
            (path, re.compile(re.sub(r"{[^}]+}", "[^/]+", path))) for path in document["paths"]
        ]
        self._validator = cache(self._made)

    async def check(self, answer: httpx.Response, root: str = "") -> None:
        """Fail if an answer is not as the document says.

        Parameters
        ----------
        root
            Prefix of the paths.
        """
        request = answer.request
        path = self._path(request.url.path.removeprefix(root))
        operation = self._document["paths"].get(path, {}).get(request.method.lower())
        if operation is None:  # a page, or a method or path that there is not
            return
        status = str(answer.status_code)
        for_browser = "text/html" in request.headers.get("accept", "")
        if for_browser and status == "303":  # the way to the login
            return
        assert status in operation["responses"], f"{request.method} {path} answers {status}"
        media = answer.headers.get("content-type", "").partition(";")[0]
        content = operation["responses"][status].get("content", {})
        page = for_browser and media == "text/html"
        assert media in content or page or not (content or media), (path, status, media)
        if media in JSON:
            await answer.aread()
            place = content[media]["schema"]["$ref"]
            faults = list(self._validator(place).iter_errors(answer.json()))
            assert not faults, f"{path} {status}: {faults[0]}"

    def _made(self, place: str) -> Any:
        parts = {"components": self._document["components"], "$ref": place}
        return jsonschema_rs.Draft202012Validator(parts, validate_formats=True)

    def _path(self, asked: str) -> str:
        return next((path for path, form in self._forms if form.fullmatch(asked)), "")


@cache
def _documents() -> list[Document]:
    return []


def document_of(app: FastAPI) -> Document:
    """The document, made once: it is the same for every app."""
    made = _documents()
    if not made:
        made.append(Document(app.openapi()))
    return made[0]
