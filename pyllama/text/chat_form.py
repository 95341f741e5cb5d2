"""The form of an answer to a chat: what the sampler may produce, and how the text is read.

llama-common knows the form of tool calls under each template, and its grammars are taken as they
are where calls are free to come. Where an answer must be a call, or its content must have a form,
the grammar is put together here: of the rules for calls without the free text before them, and of
what the template wants around content with the form in the place of the content.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama._ext.chat import content_grammar, generic_tools
from pyllama.errors import InvalidRequest, NativeError
from pyllama.text import gbnf
from pyllama.text.constraint import Constraint
from pyllama.text.output import OutputFormat
from pyllama.text.request_text import request_text
from pyllama.text.support import TemplateSupport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama._ext.chat import ChatTemplate
    from pyllama._ext.vocab import Vocab
    from pyllama.text.answer_form import AnswerForm
    from pyllama.text.reasoning import Reasoning
    from pyllama.text.tools import Tools

# A schema that no request has: where its only value stands, the content stands.
_MARK = "pyllama-answer"
_MARKED_RULE = re.compile(rf'^([\w-]+) ::= \(?"\\"{_MARK}\\""\)?$', re.MULTILINE)
# A form in a fence or without: without. The fence would be content, and is no JSON.
_FENCE_OR_NOT = re.compile(r'"```json" space ([\w-]+) space "```" \| space \1 space')
_FENCE = re.compile(r'"```json" space ([\w-]+) space "```"')

_WORD_TRIGGER = 1  # COMMON_GRAMMAR_TRIGGER_TYPE_WORD


@dataclass(slots=True)
class Wanted:
    """What a request wants of an answer, whatever its messages are."""

    tools: Tools
    form: AnswerForm | None
    is_parallel: bool
    reasoning: Reasoning
    add_generation_prompt: bool
    is_continuation: bool = False
    generation_prompt: str = ""

    @property
    def is_free(self) -> bool:
        """Whether the answer may begin with any text."""
        return self.form is None and self.tools.choice != "required"

    @property
    def reasoning_format(self) -> str:
        """Where thoughts go; they can be no part of a content that has a form."""
        if self.reasoning.format == "none" and not self.is_free:
            return "auto"
        return self.reasoning.format

    @property
    def shown_schema(self) -> Mapping[str, Any] | None:
        """The schema that a template may show to the model."""
        return None if self.form is None or self.tools.are_callable else self.form.relaxed

    def key(self, kwargs: Mapping[str, Any]) -> str:
        """Return a text that is the same for requests whose answers have the same form."""
        form = (self.form.grammar, self.form.schema) if self.form else None
        callable_tools = [tool["function"]["name"] for tool in self.tools.callable]
        return repr(
            (
                json.dumps([self.tools.shown, form, dict(kwargs)]),
                (callable_tools, self.tools.choice, self.is_parallel),
                (self.reasoning, self.add_generation_prompt, self.generation_prompt),
            )
        )


@dataclass(frozen=True, slots=True)
class ChatForm:
    """The form of an answer."""

    stop: tuple[str, ...]
    constraint: Constraint | None
    output: OutputFormat


class FormBuilder:
    """Builds forms for one template; any thread may use it."""

    def __init__(self, template: ChatTemplate, vocab: Vocab, *, use_jinja: bool) -> None:
        self._template = template
        self._vocab = vocab
        self._use_jinja = use_jinja
        self.support = TemplateSupport.of(template)
        self.is_parallel = self.support.is_parallel

    def build(self, request: dict[str, Any], wanted: Wanted) -> ChatForm:
        """Return the form of an answer.

        Args:
            request: messages and flags, for llama-common.
            wanted: what the answer shall be.

        Raises:
            InvalidRequest: the template cannot express what is wanted.
        """
        answer = self._calls(request, wanted, wanted.tools.choice)
        constraint = self._constraint(request, wanted, answer)
        return ChatForm(tuple(answer["additional_stops"]), constraint, self._output(wanted, answer))

    # ---- what llama-common says -----------------------------------------------------------------

    def _apply(self, request: dict[str, Any], param: str) -> dict[str, Any]:
        try:
            return dict(self._template.apply(request_text(request)))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(f"{param} must be JSON: {error}", param=param) from error
        except NativeError as error:
            raise InvalidRequest(
                f"the chat template cannot be used with these {param}: {error.detail}", param=param
            ) from error

    def _calls(self, request: dict[str, Any], wanted: Wanted, choice: str) -> dict[str, Any]:
        """Return what llama-common says of an answer that may hold calls."""
        tools = wanted.tools
        if not tools.callable or not self._use_jinja:
            return self._apply(request, "messages")
        if self.support.has_form:
            return self._apply({**request, "tools": tools.callable, "tool_choice": choice}, "tools")
        answer = self._apply(request, "messages")
        if choice == "none":
            return answer
        keys = ("generation_prompt", "thinking_start", "thinking_ends")
        wish = {
            "tools": tools.callable,
            "tool_choice": choice,
            "parallel_tool_calls": wanted.is_parallel,
            **{key: answer[key] for key in keys},
        }
        try:
            generic = generic_tools(json.dumps(wish))
        except NativeError as error:
            reason = f"tools cannot be called: {error.detail}"
            raise InvalidRequest(reason, param="tools") from error
        kept = ("prompt", "generation_prompt", "additional_stops", "preserved_tokens")
        thinking = ("thinking_start", "thinking_ends")
        return {**generic, **{key: answer[key] for key in (*kept, *thinking)}}

    # ---- what the sampler may produce -----------------------------------------------------------

    def _constraint(
        self, request: dict[str, Any], wanted: Wanted, answer: dict[str, Any]
    ) -> Constraint | None:
        thinking = self._thinking(wanted, answer)
        if wanted.is_free:
            if not (wanted.tools.are_callable and answer["grammar_lazy"] and answer["grammar"]):
                return Constraint(**thinking) if thinking["reasoning_budget"] >= 0 else None
            return Constraint(
                grammar=_checked(answer["grammar"], "tools"),
                lazy=True,
                triggers=tuple(answer["grammar_triggers"]),
                preserved_tokens=tuple(answer["preserved_tokens"]),
                **thinking,
            )
        parts = []
        if wanted.form is not None:
            parts.append(self._content(request, wanted.form))
        if wanted.tools.are_callable:
            required = answer
            if wanted.tools.choice != "required":
                required = self._calls(request, wanted, "required")
            parts.append(_calls_only(required))
        param = wanted.form.field if wanted.form is not None else "tools"
        return Constraint(grammar=_checked(gbnf.union(parts), param), **thinking)

    def _thinking(self, wanted: Wanted, answer: dict[str, Any]) -> dict[str, Any]:
        start, ends = answer["thinking_start"], tuple(answer["thinking_ends"])
        prompt = answer["generation_prompt"] or wanted.generation_prompt
        budget = wanted.reasoning.budget if start and ends else -1
        if start and not wanted.reasoning.is_enabled:
            opened = prompt.rfind(start)
            if opened >= 0 and not any(end in prompt[opened:] for end in ends):
                # The template thinks in any case: the block is closed as soon as it begins.
                budget = 0
        return {
            "generation_prompt": prompt,
            "thinking_start": start,
            "thinking_ends": ends,
            "reasoning_budget": budget,
            "reasoning_budget_message": wanted.reasoning.message,
        }

    def _content(self, request: dict[str, Any], form: AnswerForm) -> str:
        """Return the grammar of an answer without calls whose content has a form."""
        if not self._use_jinja:
            return form.grammar
        marked = self._apply({**request, "json_schema": {"const": _MARK}}, form.field)
        text = _FENCE.sub(r"\1", _FENCE_OR_NOT.sub(r"\1", marked["grammar"]))
        # Space before content that no thoughts can come before would be content.
        text = text.replace(" space space ", " ")
        rule = _MARKED_RULE.search(text)
        if rule is not None:
            text = gbnf.redefined(text, {rule[1]: "answer-root"})
        else:
            # llama-common knows no form of content here, but how content is read.
            plain = self._apply(request, "messages")
            text = content_grammar(plain["parser"])
            if not re.search(r"(?<![\w-])answer(?![\w-])", text):
                raise InvalidRequest(
                    "the chat template leaves no place for content of a given form",
                    param=form.field,
                )
            text += "\nanswer ::= answer-root\n"
        return f"{text}\n{gbnf.prefixed(form.grammar, 'answer-')}\n"

    # ---- how the text is read -------------------------------------------------------------------

    def _output(self, wanted: Wanted, answer: dict[str, Any]) -> OutputFormat:
        tools = wanted.tools
        words = _trigger_words(answer) if tools.are_callable else ()
        texts = (*answer["preserved_tokens"], *words, *answer["thinking_ends"])
        ids = [self._vocab.tokenize(text, parse_special=True) for text in texts]
        starts = self._vocab.tokenize(answer["thinking_start"], parse_special=True)
        return OutputFormat(
            format=answer["format"],
            parser=answer["parser"],
            generation_prompt=answer["generation_prompt"],
            reasoning_format=wanted.reasoning_format,
            parse_tool_calls=tools.are_callable,
            is_continuation=wanted.is_continuation,
            preserved_tokens=frozenset(one[0] for one in (*ids, starts) if len(one) == 1),
            thinking_start=answer["thinking_start"],
            thinking_ends=tuple(answer["thinking_ends"]),
            tools=tools.chosen if tools.are_callable else (),
            schema=wanted.form.schema if wanted.form is not None else None,
            parallel_tool_calls=wanted.is_parallel,
            json_calls=tools.are_callable and wanted.is_free,
        )


def _checked(text: str, param: str) -> str:
    try:
        gbnf.check(text)
    except gbnf.GrammarError as error:
        makes = "make" if param == "tools" else "makes"
        raise InvalidRequest(
            f"{param} {makes} a grammar that is too large: {error}", param=param
        ) from error
    return text


def _content_ends(answer: dict[str, Any]) -> dict[int, list[str]]:
    """Return where a parser reads content up to some texts: its node's number, and the texts."""
    nodes = json.loads(answer["parser"])["parsers"] if answer["parser"] else []
    found = {}
    for node in nodes:
        if node["type"] != "tag" or node["tag"] != "content":
            continue
        child = nodes[node["child"]]
        if child["type"] == "until":
            found[node["child"]] = child["delimiters"]
    return found


def _calls_only(required: dict[str, Any]) -> str:
    """Return a grammar of calls without the free text that llama-common lets come before them."""
    if not required["grammar"]:
        raise InvalidRequest("the chat template has no form for tool calls", param="tools")
    rules = {f"until-{number}": "space" for number in _content_ends(required)}
    return gbnf.redefined(required["grammar"], rules)


def _trigger_words(answer: dict[str, Any]) -> tuple[str, ...]:
    """Return the texts at which a call can begin."""
    triggers = answer["grammar_triggers"]
    words = [trigger["value"] for trigger in triggers if trigger["type"] == _WORD_TRIGGER]
    words += [end for ends in _content_ends(answer).values() for end in ends]
    if len(words) < len(triggers) or not words:
        # A pattern triggers: what can begin a call begins with one of the template's tokens.
        words += answer["preserved_tokens"]
    return tuple(dict.fromkeys(word for word in words if word))
