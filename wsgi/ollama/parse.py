"""What the bodies of both generating routes have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.field_names import caller_names

from ..fields import FieldReader, whole
from ..parts import base64_url, picture_part, text_part
from ..validation import Schema
from .names import check_name
from .refusals import OPTION_REFUSALS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyllama import GenerationParams, Llama

    from ..parts import Part

OPTION_FIELDS = FieldReader(Schema(__package__, "options.json"), OPTION_REFUSALS)

# What has another name in the library, or none: nothing of a prompt is ever dropped.
_OTHERS = {"num_predict", "num_ctx", "num_keep"}
_NAMES = {
    name: f"options.{name}" for name in (*OPTION_FIELDS.schema.names, *OPTION_FIELDS.refusals)
}
_NAMES["max_tokens"] = "options.num_predict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What both routes share."""

    params: GenerationParams
    stream: bool
    is_load: bool
    """Whether nothing is asked but that the model be loaded."""
    shows_thinking: bool
    form: Mapping[str, Any]
    """What holds the answer to its form, by the names of ``Llama.text_prompt``."""
    reasoning: Mapping[str, Any]
    """What is said of thinking, by the names of ``Llama.chat_prompt``."""

    @property
    def names(self) -> Mapping[str, str]:
        """From paths in what is made of the body to paths in the body, where they are others."""
        return {}


def read(reader: FieldReader, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a body that are honoured, and are not empty.

    Clients send empty strings and lists for what they do not ask for.

    Raises:
        InvalidRequest: a field has a wrong type or value.
        Unsupported: it asks for what is not done here.
    """
    options = body.get("options")
    if isinstance(options, dict):
        present = {name: value for name, value in options.items() if value is not None}
        body = {**body, "options": present}
    fields = reader.read(body)
    return {name: value for name, value in fields.items() if value not in ("", [])}


def shared(fields: Mapping[str, Any], llm: Llama, *, is_load: bool) -> dict[str, Any]:
    """Return what a body says of :class:`Asked`, by its names.

    Raises:
        InvalidRequest: a value is none that can be honoured.
        ModelNotServed: the model is another one.
    """
    check_name(fields.get("model", ""), llm.info)
    think = fields.get("think", False)
    if think and not llm.card.can_think:
        raise Unsupported("think is not supported by this model; leave it out", param="think")
    reasoning: dict[str, Any] = {"enable_thinking": bool(think)}
    if isinstance(think, str):
        reasoning["reasoning_effort"] = think
    return {
        "params": _params(fields, llm),
        "stream": fields.get("stream", True),
        "is_load": is_load,
        "shows_thinking": bool(think),
        "form": _form(fields.get("format")),
        "reasoning": reasoning,
    }


def parts_of(images: Sequence[str], images_path: str, text: str, text_path: str) -> list[Part]:
    """Return the parts of a message: the pictures that it shows, in base64, then what it says."""
    paths = [f"{images_path}[{i}]" for i in range(len(images))]
    parts = [
        picture_part(base64_url(image), path, path)
        for image, path in zip(images, paths, strict=True)
    ]
    return [*parts, text_part(text, text_path)] if text else parts


def _form(wanted: Any) -> dict[str, Any]:
    if wanted is None:
        return {}
    return {"json_schema": {"type": "object"} if wanted == "json" else wanted}


def _params(fields: Mapping[str, Any], llm: Llama) -> GenerationParams:
    with caller_names(_NAMES):
        options = OPTION_FIELDS.read(fields.get("options", {}))
        _check_room(options.get("num_ctx", 0), llm.n_ctx)
        wanted = {name: whole(options[name]) for name in options.keys() - _OTHERS}
        if "num_predict" in options:
            wanted["max_tokens"] = _limit(whole(options["num_predict"]))
        n_top = _logprobs(fields)
        if n_top is not None:
            wanted["logprobs"] = n_top
        return llm.defaults.with_options(**wanted)


def _limit(num_predict: int) -> int:
    if num_predict == 0:
        raise InvalidRequest("num_predict must be at least 1, or -1, not 0", param="num_predict")
    # Both -1 and -2 mean as much as there is room for.
    return max(num_predict, -1)


def _check_room(n_wanted: int, n_ctx: int) -> None:
    if n_wanted > n_ctx:
        raise InvalidRequest(
            f"num_ctx must be at most {n_ctx}, which a request of this server has room for, not "
            f"{n_wanted}; start it with a larger --ctx-size",
            param="num_ctx",
        )


def _logprobs(fields: Mapping[str, Any]) -> int | None:
    n_top = int(fields.get("top_logprobs", 0))
    if fields.get("logprobs"):
        return n_top
    if n_top > 0:
        raise InvalidRequest("top_logprobs needs logprobs; set it to true", param="top_logprobs")
    return None
