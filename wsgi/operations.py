"""What is said of a route beside its code: what its documentation is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import falcon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .fields import FieldReader

_READS = (500, 503)
_COUNTS = (400, 403, 408, 413, 500, 503, 507)
_GENERATES = (400, 403, 408, 413, 422, 429, 500, 503, 507)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of a route."""

    summary: str
    fields: FieldReader | None = None
    """Reads the body, where it is JSON."""
    takes_file: bool = False
    """Whether the body is a form with a file."""
    answer: str | None = None
    """The shape of the JSON of status 200: a dialect's folder and a definition of its
    ``schemas/answers.json``, such as ``openai.chat``."""
    media_type: str = falcon.MEDIA_JSON
    """That of the answer, if it is no JSON."""
    stream_type: str | None = None
    """Media type of the answer where it is streamed, if it can be."""
    errors: tuple[int, ...] = ()
    """Statuses of its errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One resource under all of its paths."""

    paths: tuple[str, ...]
    """Falcon's templates; the first is the one to use, the others are there for clients that
    have them built in."""
    tag: str
    """The API that it belongs to."""
    resource: object
    suffix: str | None = None
    """That of the resource's responders."""
    operations: Mapping[str, Operation]
    """By method. HEAD is not told: where it is, it is GET without the body."""


def generates(
    summary: str,
    fields: FieldReader,
    answer: str,
    *,
    also: tuple[int, ...] = (),
    stream_type: str = "text/event-stream",
) -> dict[str, Operation]:
    """Return the POST of a route that generates; ``also``: errors beside the usual ones."""
    operation = Operation(
        summary=summary,
        fields=fields,
        answer=answer,
        stream_type=stream_type,
        errors=(*_GENERATES, *also),
    )
    return {"POST": operation}


def counts(
    summary: str, fields: FieldReader, answer: str, *, also: tuple[int, ...] = ()
) -> dict[str, Operation]:
    """Return the POST of a route that takes a body and generates nothing."""
    errors = (*_COUNTS, *also)
    return {"POST": Operation(summary=summary, fields=fields, answer=answer, errors=errors)}


def uploads_a_file(summary: str, answer: str) -> dict[str, Operation]:
    """Return the POST of a route that takes a form with a file."""
    return {"POST": Operation(summary=summary, takes_file=True, answer=answer, errors=_COUNTS)}


def reads(summary: str, answer: str, *, also: tuple[int, ...] = ()) -> dict[str, Operation]:
    """Return the GET of a route whose answer is JSON."""
    return {"GET": Operation(summary=summary, answer=answer, errors=(*_READS, *also))}
