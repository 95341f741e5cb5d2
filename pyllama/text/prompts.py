"""Chats and texts to prompts: the chat template is llama-common's, the tokeniser the model's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama._ext.chat import ChatTemplate
from pyllama.errors import InvalidRequest, NativeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyllama._ext.model import Model
    from pyllama._ext.vocab import Vocab
    from pyllama.text.constraint import Constraint
    from pyllama.text.output import OutputFormat

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked to continue."""

    tokens: tuple[int, ...]
    stop: tuple[str, ...] = ()
    """Strings that end an answer under this chat template."""
    constraint: Constraint | None = None
    """What the sampler may produce; None: anything."""
    output: OutputFormat | None = None
    """How the answer's text is read; None: all of it is content."""


class PromptBuilder:
    """Renders and tokenises; any thread may use it.

    Args:
        model: the model whose template and vocabulary count.
        vocab: its vocabulary.
        template: Jinja source or built-in name that replaces the model's own template.
        use_jinja: whether templates run as Jinja.
        template_kwargs: values for the template that a request may override.
    """

    def __init__(
        self,
        model: Model,
        vocab: Vocab,
        *,
        template: str | None = None,
        use_jinja: bool = True,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self._vocab = vocab
        self._template = ChatTemplate(model, template, use_jinja=use_jinja)
        self._template_kwargs = dict(template_kwargs or {})

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        template_kwargs: Mapping[str, Any] | None = None,
        add_generation_prompt: bool = True,
    ) -> Prompt:
        """Render a chat and tokenise it. A last message by the assistant is continued.

        Raises:
            InvalidRequest: a message has a form that no template can take.
        """
        for index, message in enumerate(messages):
            _check_message(message, f"messages[{index}]")
        if not messages:
            raise InvalidRequest("messages must hold at least one message", param="messages")
        kwargs = {**self._template_kwargs, **(template_kwargs or {})}
        request: dict[str, Any] = {
            "messages": list(messages),
            "add_generation_prompt": add_generation_prompt,
            "chat_template_kwargs": kwargs,
        }
        if "enable_thinking" in kwargs:
            request["enable_thinking"] = bool(kwargs["enable_thinking"])
        try:
            rendered = self._template.apply(json.dumps(request))
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"messages must be JSON: {error}", param="messages") from error
        except NativeError as error:
            reason = f"the chat template refused the messages: {error.detail}"
            raise InvalidRequest(reason, param="messages") from error
        tokens = self._vocab.tokenize(rendered["prompt"], add_special=True, parse_special=True)
        return Prompt(tuple(tokens), tuple(rendered["additional_stops"]))

    def text(self, prompt: str | Sequence[int]) -> Prompt:
        """Tokenise a text, or take token ids as they are.

        Raises:
            InvalidRequest: the prompt is empty or holds ids outside of the vocabulary.
        """
        if isinstance(prompt, str):
            tokens = tuple(self._vocab.tokenize(prompt, add_special=True, parse_special=True))
        else:
            tokens = tuple(prompt)
        self.check(tokens)
        return Prompt(tokens)

    def check(self, tokens: tuple[int, ...]) -> None:
        """Refuse what the model cannot be asked to continue.

        Raises:
            InvalidRequest: there is no token, or one outside of the vocabulary.
        """
        if not tokens:
            raise InvalidRequest("prompt must hold at least one token", param="prompt")
        n_vocab = self._vocab.n_tokens
        for index, token in enumerate(tokens):
            if type(token) is not int or not 0 <= token < n_vocab:
                raise InvalidRequest(
                    f"prompt[{index}] must be a token id below {n_vocab}, not {token!r}",
                    param=f"prompt[{index}]",
                )


def _check_message(message: Any, path: str) -> None:
    if not hasattr(message, "get"):
        raise InvalidRequest(f"{path} must be an object with role and content", param=path)
    role = message.get("role")
    if role not in ROLES:
        raise InvalidRequest(
            f"{path}.role must be one of {', '.join(ROLES)}, not {role!r}", param=f"{path}.role"
        )
    content = message.get("content")
    if content is None and role != "assistant":
        raise InvalidRequest(f"{path}.content is missing", param=f"{path}.content")
    if content is not None and not isinstance(content, (str, list)):
        raise InvalidRequest(
            f"{path}.content must be a string or a list of parts", param=f"{path}.content"
        )
