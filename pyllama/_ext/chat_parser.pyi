"""The parser of a model's answers, by llama-common. Immutable, so any thread may use it."""

from typing import TypedDict, type_check_only

from typing_extensions import disjoint_base

@type_check_only
class ParsedCall(TypedDict):
    """A tool call, as far as it has come."""

    id: str
    """The model's own id for the call; empty in most formats."""
    name: str
    arguments: str
    """JSON text; a beginning of it where the text ends inside the call."""

@type_check_only
class ParsedMessage(TypedDict):
    """What a text says."""

    content: str
    reasoning: str
    tool_calls: list[ParsedCall]
    rest: str
    """The end of the text that the format does not reach: at most a part of a delimiter, where the
    text is in the format."""
    is_open: bool
    """Whether the format wants more than the text has."""

@disjoint_base
class ChatParser:
    """Reads answers in one template's format.

    Args:
        params: a JSON object with ``format``, ``parser``, ``generation_prompt``,
            ``reasoning_format``, ``parse_tool_calls`` and ``is_continuation``.

    Raises:
        NativeError: the JSON is malformed, or ``parser`` is no serialised parser.

    Source: ``common_chat_parser_params`` (common/chat.h).
    """

    delimiters: tuple[str, ...]
    """The texts that end a free text somewhere in this format, sorted."""

    def __new__(cls, params: str) -> ChatParser: ...
    def parse(self, text: str) -> ParsedMessage:
        """Read an answer, or as much of it as there is. Releases the GIL.

        Raises:
            NativeError: neither the text nor any continuation of it is in the format, or its
                brackets nest too deep.

        Source: ``common_peg_arena::parse`` (common/peg-parser.h), as ``common_chat_parse`` has it.
        """
