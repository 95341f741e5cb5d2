"""JSON Schemas compiled once at import, and their errors in the caller's words.

Compiling on each request costs some 30 times as much as the check itself. Two libraries check: one
in Rust, some hundred times as fast, says whether a body is right and where it is not, and one in
Python what is wrong there, with the schema at hand.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from pyllama.errors import InvalidRequest
from pyllama.interruption import checkpoint

from .ignored import IgnoredFields
from .turns import has_many, turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jsonschema.exceptions import ValidationError

_TYPE_NAMES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_MAX_ECHO = 40


class Schema:
    """One schema of a package's ``schemas`` folder; immutable, safe to share between threads.

    Args:
        package: the package whose ``schemas`` folder holds the file.
        name: the file. It may refer to its neighbours by their names.
    """

    def __init__(self, package: str, name: str) -> None:
        documents = load_schemas(package)
        registry: Registry[Any] = Registry().with_resources(
            (key, Resource.from_contents(value)) for key, value in documents.items()
        )
        self.package, self.name = package, name
        self.document: Mapping[str, Any] = documents[name]
        self.ignored = IgnoredFields(self.document, documents, name)
        """The fields, and the members of fields, that are passed over."""
        names = _property_names(self.document, documents)
        self.names: frozenset[str] = frozenset(names) - self.ignored.names
        """The fields that are honoured, those of its neighbours included."""
        self._validator = Draft202012Validator(self.document, registry=registry)
        self._quick = jsonschema_rs.Draft202012Validator(
            documents[name],
            retriever=lambda uri: documents[uri.rpartition("/")[2]],
            # Else a message that nobody reads has the whole value in it.
            mask="",
        )

    def check(self, body: Mapping[str, Any]) -> None:
        """Raise :class:`InvalidRequest` for the first thing that is wrong with a body."""
        try:
            with turn(is_long=has_many(body)):
                self._quick.validate(body)
        except jsonschema_rs.ValidationError as found:
            raise self._refusal(body, found.instance_path) from None
        checkpoint()

    def _refusal(self, body: Mapping[str, Any], path: Sequence[str | int]) -> InvalidRequest:
        """Say what is wrong with a body that the quick validator refused, at a path or near it."""
        # The first one only: to collect the errors of a long list takes long.
        error = next(self._validator.iter_errors(_narrowed(body, path)), None)
        if error is None:
            # It may be what the narrowing left out; and what only one of the two sees is wrong too.
            path = () if (error := next(self._validator.iter_errors(body), None)) else path
        if error is None:
            param = json_path(path)
            return InvalidRequest(f"{param or 'the body'} is not as the schema says", param=param)
        param, message = _explain(error, path)
        return InvalidRequest(message, param=param)


def json_path(parts: Iterable[str | int]) -> str:
    """Return a path such as ``messages[0].role``."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def load_schemas(package: str) -> dict[str, Any]:
    """Return the documents of a package's ``schemas`` folder by the names of their files."""
    folder = resources.files(package) / "schemas"
    return {
        file.name: json.loads(file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".json")
    }


def _property_names(schema: Mapping[str, Any], documents: Mapping[str, Any]) -> set[str]:
    names = set(schema.get("properties", ()))
    for part in schema.get("allOf", ()):
        names |= _property_names(documents[part["$ref"]], documents)
    return names


def _narrowed(value: Any, path: Sequence[str | int]) -> Any:
    """Return a value in which the lists that a path leads through hold one item, that of the path.

    What is wrong with one of many items is then found without a look at the others.
    """
    if not path:
        return value
    step, *rest = path
    part = _narrowed(value[step], rest)
    return [part] if isinstance(step, int) else {**value, step: part}


def _restored(found: Iterable[str | int], path: Sequence[str | int]) -> list[str | int]:
    """Return where in the whole value it is what was found in one that was narrowed to a path."""
    restored = list(found)
    for depth, (here, step) in enumerate(zip(tuple(restored), path, strict=False)):
        if isinstance(step, int):
            restored[depth] = step
        elif here != step:
            break
    return restored


def _explain(error: ValidationError, narrowed_to: Sequence[str | int]) -> tuple[str, str]:
    """Return the path of the field, and a sentence: field, fault, remedy.

    The remedy is the ``description`` that the schema has for the field.
    """
    path = _restored(error.absolute_path, narrowed_to)
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "required":
        names: Any = error.validator_value
        present: Any = error.instance
        missing = next(name for name in names if name not in present)
        path.append(missing)
        schema = schema.get("properties", {}).get(missing, {})
        fault = "is missing"
    else:
        fault = _fault(error)
    param = json_path(path)
    remedy = schema.get("description")
    return param, f"{param} {fault}" + (f"; {remedy}" if remedy else "")


def _fault(error: ValidationError) -> str:
    limit: Any = error.validator_value
    value: Any = error.instance
    if error.validator == "type":
        wanted = [limit] if isinstance(limit, str) else limit
        return f"must be {_either(_TYPE_NAMES[name] for name in wanted)}, not {_kind(value)}"
    if error.validator == "enum":
        return f"must be {_either(repr(item) for item in limit)}, not {_echo(value)}"
    if error.validator == "minimum":
        return f"must be at least {limit}, not {_echo(value)}"
    if error.validator == "maximum":
        return f"must be at most {limit}, not {_echo(value)}"
    if error.validator == "minItems":
        return "must not be empty"
    return f"does not satisfy {error.validator} {_echo(limit)}"


def _either(words: Iterable[str]) -> str:
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last


def _kind(value: object) -> str:
    for name, types in _PYTHON_TYPES:
        if isinstance(value, types):
            return _TYPE_NAMES[name] if name != "boolean" else "a boolean"
    return "null"


# In this order, since a bool is an int.
_PYTHON_TYPES: tuple[tuple[str, type], ...] = (
    ("boolean", bool),
    ("string", str),
    ("integer", int),
    ("number", float),
    ("array", list),
    ("object", dict),
)


def _echo(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_ECHO else f"{text[:_MAX_ECHO]}..."
