"""A model's chat template, rendered by llama-common. Any thread may use it."""

from typing import TypedDict, type_check_only

from typing_extensions import disjoint_base

from pyllama._ext.model import Model

@type_check_only
class RenderedChat(TypedDict):
    """A chat as the model reads it."""

    prompt: str
    generation_prompt: str
    """The end of ``prompt`` that opens the assistant's turn."""
    additional_stops: list[str]
    """Strings that end an answer under this template."""
    preserved_tokens: list[str]
    """Special tokens whose text a parser of the answer needs."""
    format: int
    """llama-common's ``common_chat_format``."""

@disjoint_base
class ChatTemplate:
    """A parsed template; keeps its model alive.

    Args:
        model: the model whose template and special tokens count.
        template: Jinja source, or the name of a built-in template; None takes the model's own.
        use_jinja: False renders by llama.cpp's built-in formats instead of Jinja.

    Raises:
        NativeError: the template cannot be parsed.

    Source: ``common_chat_templates_init`` (common/chat.h).
    """

    def __new__(
        cls, model: Model, template: str | None = None, *, use_jinja: bool = True
    ) -> ChatTemplate: ...
    def apply(self, request: str) -> RenderedChat:
        """Render a chat. Releases the GIL.

        Args:
            request: a JSON object: ``messages`` as the OpenAI API has them, and optionally
                ``add_generation_prompt``, ``enable_thinking`` (both true by default) and
                ``chat_template_kwargs``. A last message by the assistant is continued.

        Raises:
            NativeError: the JSON or a message is malformed, or the template refused the chat.

        Source: ``common_chat_templates_apply`` (common/chat.h).
        """

    @property
    def source(self) -> str:
        """The template's Jinja source.

        Source: ``common_chat_templates_source`` (common/chat.h).
        """

    @property
    def caps(self) -> dict[str, bool]:
        """What the template can take (``supports_tools``, ``supports_system_role``, ...).

        Source: ``common_chat_templates_get_caps`` (common/chat.h).
        """
