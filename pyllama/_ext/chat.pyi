"""A model's chat template, rendered by llama-common. Any thread may use it."""

from typing import TypedDict, type_check_only

from typing_extensions import disjoint_base

from pyllama._ext.model import Model

@type_check_only
class Trigger(TypedDict):
    """What wakes a lazy grammar."""

    type: int
    """llama-common's ``common_grammar_trigger_type``: 1 a word, 2 a pattern."""
    value: str

@type_check_only
class RenderedChat(TypedDict):
    """A chat as the model reads it, and the form of its answer.

    Source: ``common_chat_params`` (common/chat.h).
    """

    prompt: str
    generation_prompt: str
    """The end of ``prompt`` that opens the assistant's turn."""
    format: int
    """llama-common's ``common_chat_format``."""
    parser: str
    """The parser of the answer, serialised; empty: all of it is content."""
    grammar: str
    """What the answer must follow, as GBNF; empty: nothing."""
    grammar_lazy: bool
    """Whether the grammar holds from a trigger on only."""
    grammar_triggers: list[Trigger]
    additional_stops: list[str]
    """Strings that end an answer under this template."""
    preserved_tokens: list[str]
    """Special tokens whose text a parser of the answer needs."""
    thinking_start: str
    """What begins a block of thoughts; empty if the template knows none."""
    thinking_ends: list[str]

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
            request: a JSON object: ``messages`` and ``tools`` as the OpenAI API has them, and
                optionally ``tool_choice`` (``auto``, ``none`` or ``required``),
                ``parallel_tool_calls``, ``json_schema``, ``reasoning_format``,
                ``add_generation_prompt`` and ``enable_thinking`` (both true by default),
                ``continue_final_message`` (true, ``content`` or ``reasoning_content``),
                ``chat_template_kwargs``, and ``prompt_only``: nothing but the two prompts is
                needed, which a template that is not specialised gives many times faster.

        Raises:
            NativeError: the JSON, a message or a tool is malformed, or the template refused the
                chat.

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

        ``is_specialized``: llama-common handles it by a parser of its own, and may rewrite messages
        before they are rendered.

        Source: ``common_chat_templates_get_caps`` (common/chat.h).
        """

def generic_tools(request: str) -> RenderedChat:
    """Make the form of an answer that calls tools as JSON within ``<tool_call>`` tags.

    For templates that have no form for calls. Releases the GIL. The prompt is empty.

    Args:
        request: a JSON object: ``tools``, ``tool_choice`` (``auto`` or ``required``),
            ``parallel_tool_calls``, and of the rendered chat ``generation_prompt``,
            ``thinking_start`` and ``thinking_ends``.

    Raises:
        NativeError: the JSON or a tool is malformed.

    Source: ``build_chat_peg_parser`` (common/chat-peg-parser.h).
    """

def content_grammar(parser: str) -> str:
    """Return what an answer may be by its parser, as GBNF with the content left open.

    Releases the GIL. The content is the rule ``answer``, which is to be defined.

    Raises:
        NativeError: the parser is malformed.

    Source: ``common_peg_arena::build_grammar`` (common/peg-parser.h).
    """

def schema_grammar(schema: str) -> str:
    """Turn a JSON schema into GBNF. Releases the GIL.

    Takes long for objects with hundreds of optional properties, and recurses into the schema: bound
    both before.

    Raises:
        NativeError: the JSON is malformed, or the schema has no grammar.

    Source: ``json_schema_to_grammar`` (common/json-schema-to-grammar.h).
    """
