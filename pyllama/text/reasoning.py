"""What a request says of thinking: whether, how much, and where the thoughts go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama.text.chat import ChatOptions

FORMATS = ("none", "auto", "deepseek", "deepseek-legacy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """How a model thinks; also the server's defaults."""

    format: str = "auto"
    is_enabled: bool = True
    effort: str | None = None
    """For the template; None leaves it to the template."""
    budget: int = -1
    """Tokens of a thinking block; -1: no bound."""
    message: str = ""
    """What ends a block whose budget is used up, before the end tag."""


def read_reasoning(
    defaults: Reasoning, options: ChatOptions, kwargs: Mapping[str, Any]
) -> Reasoning:
    """Return what holds for a request.

    Args:
        defaults: what holds where it says nothing.
        options: the request.
        kwargs: values for the template, in which ``enable_thinking`` may stand as well.

    Raises:
        InvalidRequest: a value has the wrong type, or is none of those that there are.
    """
    is_enabled = kwargs.get("enable_thinking", defaults.is_enabled)
    if not isinstance(is_enabled, bool):
        path = "template_kwargs.enable_thinking"
        raise InvalidRequest(f"{path} must be true or false", param=path)
    effort = kwargs.get("reasoning_effort", defaults.effort)
    if options.reasoning_effort is not None:
        effort = options.reasoning_effort
        if not effort or not hasattr(effort, "strip"):
            raise InvalidRequest("reasoning_effort must be a level", param="reasoning_effort")
    if effort == "none":
        is_enabled, effort = False, None
    if options.enable_thinking is not None:
        is_enabled = options.enable_thinking
    found = replace(defaults, is_enabled=is_enabled, effort=effort)
    if options.reasoning_format is not None:
        if options.reasoning_format not in FORMATS:
            raise InvalidRequest(
                f"reasoning_format must be one of {', '.join(FORMATS)}, "
                f"not {options.reasoning_format!r}",
                param="reasoning_format",
            )
        found = replace(found, format=options.reasoning_format)
    budget = options.reasoning_budget
    if budget is not None:
        if type(budget) is not int or not -1 <= budget < 2**31:
            raise InvalidRequest(
                f"reasoning_budget must be a number of tokens, or -1, not {budget!r}",
                param="reasoning_budget",
            )
        found = replace(found, budget=budget)
    return found
