"""From the fields of a line to an answer in the making, in the library's own words."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.field_names import caller_names, spelled
from pyllama.params import GenerationParams
from pyllama.structured import ResponseForm, form_options
from pyllama.text import CHAT_OPTIONS

if TYPE_CHECKING:
    from pyllama import Llama
    from pyllama.cli.batch.lines import Line
    from pyllama.generation import Generation

# Results have no place for log probabilities.
_PARAMS = set(GenerationParams.names()) - {"logprobs", "prompt_logprobs", "post_sampling_probs"}
_TEXT_OPTIONS = {"json_schema", "grammar"}
_SPELLINGS = {
    "max_tokens": ("max_completion_tokens", "max_tokens"),
    "template_kwargs": ("chat_template_kwargs", "template_kwargs"),
}
# They ask for nothing that could be done or left undone.
_WITHOUT_EFFECT = {
    *("model", "user", "metadata", "store", "service_tier", "safety_identifier"),
    *("prompt_cache_key", "stream_options"),
}
_ONLY = {"stream": False, "n": 1, "logprobs": False}
_TYPES: dict[str, tuple[type, ...]] = {
    "tools": (list,),
    "tool_choice": (str, dict),
    "parallel_tool_calls": (bool,),
    "json_schema": (dict, bool),
    "grammar": (str,),
    "enable_thinking": (bool,),
    "reasoning_format": (str,),
    "reasoning_effort": (str,),
    "reasoning_budget": (int,),
    "template_kwargs": (dict,),
    "add_generation_prompt": (bool,),
    "continue_final_message": (bool, str),
}


def begin(line: Line, llm: Llama) -> Generation:
    """Hand what a line asks to the engine; returns at once.

    Raises:
        InvalidRequest: the line is wrong.
        PyllamaError: the engine does not take it.
    """
    if line.fault is not None:
        raise line.fault
    given, names = spelled(line.fields, _SPELLINGS)
    with caller_names(names):
        return _begin(_by_library_names(line.fields, given), llm)


def _by_library_names(fields: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    spellings = {spelling for known in _SPELLINGS.values() for spelling in known}
    return {name: value for name, value in fields.items() if name not in spellings} | given


def _begin(fields: dict[str, Any], llm: Llama) -> Generation:
    form = ResponseForm.of(fields.pop("response_format", None))
    sources = fields.keys() & {"messages", "prompt"}
    if len(sources) != 1:
        raise InvalidRequest("give either messages or a prompt")
    is_chat = sources == {"messages"}
    source = fields.pop(*sources)
    known = CHAT_OPTIONS if is_chat else _TEXT_OPTIONS
    params: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in fields.items():
        if name in known:
            options[name] = _typed(name, value)
        elif name in _PARAMS:
            params[name] = value
        elif name not in _WITHOUT_EFFECT:
            _check_refused(name, value, known)
    wanted = llm.defaults.with_options(**params)
    with form_options(form, options) as formed:
        prompt = (llm.chat_prompt if is_chat else llm.text_prompt)(source, **formed)
    return llm.start(prompt, wanted)


def _typed(name: str, value: Any) -> Any:
    wanted = _TYPES[name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        kinds = " or ".join(kind.__name__ for kind in wanted)
        raise InvalidRequest(
            f"{name} must be of type {kinds}, not {type(value).__name__}", param=name
        )
    return value


def _check_refused(name: str, value: Any, known: set[str] | frozenset[str]) -> None:
    """Refuse a field that cannot be honoured; one that asks for what happens anyway may pass."""
    if name in _ONLY:
        if value != _ONLY[name] or isinstance(value, bool) != isinstance(_ONLY[name], bool):
            raise Unsupported(
                f"{name} of a batch's line can only be {str(_ONLY[name]).lower()}", param=name
            )
        return
    near = difflib.get_close_matches(name, [*known, *_PARAMS, "messages", "prompt"], 1, 0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise Unsupported(f"a batch's line cannot have the field {name[:64]!r}{hint}", param=name)
