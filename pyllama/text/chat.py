"""Chats to prompts: the template is llama-common's, and so are the grammars of tool calls."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from pyllama._ext.chat import ChatTemplate
from pyllama.errors import InvalidRequest, NativeError
from pyllama.media import MARK, MediaReader
from pyllama.text import messages as chat_messages
from pyllama.text import tools as chat_tools
from pyllama.text.answer_form import AnswerForm
from pyllama.text.arguments import with_object_arguments
from pyllama.text.chat_form import ChatForm, FormBuilder, Wanted
from pyllama.text.lru import LruCache
from pyllama.text.prompts import Prompt
from pyllama.text.reasoning import Reasoning, read_reasoning
from pyllama.text.request_text import request_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyllama._ext.model import Model
    from pyllama._ext.vocab import Vocab
    from pyllama.media import Attachments
    from pyllama.sched import MediaSpan
    from pyllama.text.text_limit import TextLimit

_PROBE = {"messages": [{"role": "user", "content": "x"}]}
_MAX_KWARGS = 100
_CONTINUATIONS = (None, True, False, "content", "reasoning_content")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """What a request may say of a chat, beside its messages."""

    tools: Sequence[Mapping[str, Any]] | None = ()
    """OpenAI's form: ``[{"type": "function", "function": {"name": ..., "parameters": ...}}]``."""
    tool_choice: str | Mapping[str, Any] | None = "auto"
    """``auto``, ``none``, ``required``, or OpenAI's object that names a function."""
    parallel_tool_calls: bool | None = None
    """Whether an answer may hold several calls; None: if the template can."""
    json_schema: Mapping[str, Any] | bool | None = None
    """What the content must satisfy as JSON; any JSON object: ``{"type": "object"}``."""
    grammar: str | None = None
    """GBNF that the content must follow."""
    enable_thinking: bool | None = None
    reasoning_format: str | None = None
    """Where thoughts go: ``none``, ``auto``, ``deepseek`` or ``deepseek-legacy``. With a schema, a
    grammar or a required call, ``none`` counts as ``auto``: thoughts cannot be part of those."""
    reasoning_effort: str | None = None
    """Handed to the template; ``none`` turns thinking off."""
    reasoning_budget: int | None = None
    """Tokens of a thinking block; -1: no bound."""
    template_kwargs: Mapping[str, Any] | None = None
    """Values for the template."""
    add_generation_prompt: bool | None = None
    """Whether the prompt ends where the assistant begins to speak; None: yes, unless a message is
    continued."""
    continue_final_message: bool | str | None = None
    """Whether the last message, by the assistant, is continued: True, False, ``content`` or
    ``reasoning_content``. None: yes, if an answer is asked for."""

    def __post_init__(self) -> None:
        """Refuse values of the wrong type."""
        for name in ("parallel_tool_calls", "enable_thinking"):
            if getattr(self, name) not in {None, True, False}:
                raise InvalidRequest(f"{name} must be true or false", param=name)
        if self.continue_final_message not in _CONTINUATIONS:
            raise InvalidRequest(
                "continue_final_message must be true, false, content or reasoning_content",
                param="continue_final_message",
            )
        if self.add_generation_prompt and self.continue_final_message:
            raise InvalidRequest(
                "continue_final_message and add_generation_prompt exclude each other; "
                "send one of them",
                param="continue_final_message",
            )
        if self.template_kwargs is not None:
            _check_kwargs(self.template_kwargs)

    @property
    def opens_answer(self) -> bool:
        """Whether the prompt ends where the assistant begins to speak."""
        return self.add_generation_prompt is not False


def _check_kwargs(kwargs: Any) -> None:
    if not hasattr(kwargs, "keys"):
        raise InvalidRequest("template_kwargs must be an object", param="template_kwargs")
    # A template copies its variables with every step of a loop.
    if len(kwargs) > _MAX_KWARGS:
        raise InvalidRequest(
            f"template_kwargs has {len(kwargs)} members, more than {_MAX_KWARGS}",
            param="template_kwargs",
        )
    try:
        json.dumps(kwargs)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"template_kwargs must be JSON: {error}", param="template_kwargs"
        ) from error


CHAT_OPTIONS = frozenset(field.name for field in fields(ChatOptions))
"""The names of its fields."""


class ChatPrompts:
    """Renders and tokenises chats; any thread may use it.

    Args:
        model: the model whose template and vocabulary count.
        vocab: its vocabulary.
        template: Jinja source or built-in name that replaces the model's own template.
        use_jinja: whether templates run as Jinja.
        template_kwargs: values for the template that a request may override.
        reasoning: what holds where a request says nothing of reasoning.
    """

    def __init__(
        self,
        model: Model,
        vocab: Vocab,
        *,
        template: str | None = None,
        use_jinja: bool = True,
        template_kwargs: Mapping[str, Any] | None = None,
        reasoning: Reasoning | None = None,
    ) -> None:
        self._vocab = vocab
        self._use_jinja = use_jinja
        self._template = ChatTemplate(model, template, use_jinja=use_jinja)
        self._template_kwargs = dict(template_kwargs or {})
        self._reasoning = reasoning or Reasoning()
        self._forms = FormBuilder(self._template, vocab, use_jinja=use_jinja)
        # PERF: without it an answer's form costs 1 to 20 ms a request, the template's analysis
        # most of it; a prompt alone is rendered in 0.2 to 1 ms.
        self._cache: LruCache[ChatForm] = LruCache(64)

    @property
    def template(self) -> ChatTemplate:
        """The chat template."""
        return self._template

    @property
    def can_call(self) -> bool:
        """Whether a chat may have tools: with Jinja each can, if need be in a form of our own."""
        return self._use_jinja

    def can_think(self) -> bool:
        """Return whether the template has a place for thoughts; found out by rendering a chat."""
        try:
            return bool(self._template.apply(json.dumps(_PROBE))["thinking_start"])
        except NativeError:
            # It takes other chats than this one, or none at all: a request is told so.
            return False

    def prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        options: ChatOptions,
        attachments: Attachments | None = None,
        limit: TextLimit | None = None,
    ) -> Prompt:
        """Render a chat and tokenise it.

        Args:
            messages: OpenAI's form.
            options: what the request says beside them.
            attachments: gathers their media; None refuses those.
            limit: refuses a chat that cannot fit; None tokenises one of any length.

        Raises:
            InvalidRequest: messages or options are wrong; ``param`` names the field.
                ContextOverflow: the chat is far too long.
        """
        wanted = self._wanted(options)
        if attachments is None:
            attachments = MediaReader(self._vocab).begin()
        request = self._request(messages, options, wanted, attachments)
        rendered = self._render(request, wanted)
        text: str = rendered["prompt"]
        shown = attachments.marked(text) if attachments else text
        if limit is not None:
            limit.check(shown.replace(MARK, ""))
        wanted.generation_prompt = rendered["generation_prompt"]
        if wanted.is_continuation:
            # Its form holds the text that is continued: nobody asks for that again.
            form = self._forms.build(request, wanted)
        else:
            key = wanted.key(request["chat_template_kwargs"])
            form = self._cache.get(key, lambda: self._forms.build(request, wanted))
        media: tuple[MediaSpan, ...] = ()
        if attachments:
            tokens, media = attachments.tokenize(text)
        else:
            tokens = tuple(self._vocab.tokenize(text, add_special=True, parse_special=True))
        return Prompt(tokens, form.stop, form.constraint, form.output, media, shown)

    def _wanted(self, options: ChatOptions) -> Wanted:
        tools = chat_tools.read(options.tools, options.tool_choice)
        if tools.given and not self._use_jinja:
            raise InvalidRequest("tools need a template that runs as Jinja", param="tools")
        form = AnswerForm.of(options.json_schema, options.grammar)
        if tools.choice == "required":
            # The answer is a call, and has no content.
            form = None
        is_parallel = options.parallel_tool_calls
        if is_parallel is None:
            is_parallel = self._forms.is_parallel
        kwargs = {**self._template_kwargs, **(options.template_kwargs or {})}
        reasoning = read_reasoning(self._reasoning, options, kwargs)
        return Wanted(tools, form, is_parallel, reasoning, options.opens_answer)

    def _request(
        self,
        messages: Sequence[Mapping[str, Any]],
        options: ChatOptions,
        wanted: Wanted,
        attachments: Attachments,
    ) -> dict[str, Any]:
        """Return the part of a request to llama-common that all calls have in common."""
        checked = chat_messages.checked(messages, attachments)
        continuation = _continuation(checked, options)
        wanted.is_continuation = continuation is not None
        kwargs = {**self._template_kwargs, **(options.template_kwargs or {})}
        kwargs.pop("enable_thinking", None)
        if wanted.reasoning.effort is not None:
            kwargs["reasoning_effort"] = wanted.reasoning.effort
        elif options.reasoning_effort == "none":
            kwargs.pop("reasoning_effort", None)
        request: dict[str, Any] = {
            "messages": self._forms.support.adapted(checked, wanted.tools),
            "add_generation_prompt": options.opens_answer,
            "chat_template_kwargs": kwargs,
            "enable_thinking": wanted.reasoning.is_enabled,
            "reasoning_format": wanted.reasoning_format,
            "parallel_tool_calls": wanted.is_parallel,
        }
        if continuation is not None:
            request["continue_final_message"] = continuation
        return request

    def _render(self, request: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
        """Return a chat's prompt, with the tools as the request has them.

        A template that reads arguments as objects refuses those that are a text: it is given
        objects then, and so is who uses the request after it.
        """
        try:
            return self._rendered(request, wanted)
        except InvalidRequest:
            messages = with_object_arguments(request["messages"])
            if messages is None:
                raise
        request["messages"] = messages
        return self._rendered(request, wanted)

    def _rendered(self, request: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
        request = dict(request)
        if self._forms.support.has_form and wanted.tools.given:
            request["tools"] = wanted.tools.shown
        if self._forms.support.is_specialized or wanted.is_continuation or not self._use_jinja:
            request["tool_choice"] = "none"
            if self._forms.support.shows_schema and wanted.shown_schema is not None:
                request["json_schema"] = wanted.shown_schema
        else:
            request["prompt_only"] = True
        try:
            return dict(self._template.apply(request_text(request)))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(f"messages must be JSON: {error}", param="messages") from error
        except NativeError as error:
            reason = f"the chat template refused the messages: {error.detail}"
            raise InvalidRequest(reason, param="messages") from error


def _continuation(messages: list[dict[str, Any]], options: ChatOptions) -> bool | str | None:
    """Return how the last message is continued; None where it is not.

    Raises:
        InvalidRequest: it was asked for and cannot be.
    """
    asked = options.continue_final_message
    is_ours = messages[-1]["role"] == "assistant"
    if asked is None:
        asked = is_ours and options.opens_answer
    if asked is False:
        return None
    path = f"messages[{len(messages) - 1}]"
    if not is_ours:
        raise InvalidRequest(
            f"{path} is not the assistant's, so it cannot be continued",
            param="continue_final_message",
        )
    if "tool_calls" in messages[-1]:
        raise InvalidRequest(
            f"{path} calls tools, so it cannot be continued; add their results",
            param=f"{path}.tool_calls",
        )
    if len(messages) > 1 and messages[-2]["role"] == "assistant":
        raise InvalidRequest(
            f"{path} follows another message of the assistant, so it cannot be continued",
            param=f"{path}.role",
        )
    return asked
