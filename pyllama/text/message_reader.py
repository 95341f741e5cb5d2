"""An answer's text read by llama-common's parser, at a cost per token that does not grow.

The parser only reads whole texts, so reading each new token costs as much as all tokens before it.
Most of an answer is free text, though: content, reasoning, an argument's value. Once a test shows
that the text stands inside of one, all up to what may end it is passed on without parsing, and the
parser never sees it: a single letter stands for it in what is parsed later, the *sketch*.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyllama.errors import NativeError
from pyllama.text.message import Call, Ledger, Message
from pyllama.text.runs import Delimiters, TextRun

if TYPE_CHECKING:
    from pyllama._ext.chat_parser import ChatParser
    from pyllama.text.output import OutputDelta

# What takes all of these as they are, or as JSON escapes, takes anything but a delimiter so.
_PROBE = "\n!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
# Characters that may be parsed for one piece of text in the mean: a long sketch is parsed seldom.
_CHARS_PER_PIECE = 512
_MAX_CREDIT = 4096
# Characters by which the end of a text is recognised in what was read of it.
_N_SAME = 8
# The parser leaves out an incomplete escape or UTF-16 pair, and white space, at the end.
_MAX_UNREAD = 16


def _escaped(text: str) -> str:
    """Return a text as it stands inside of a JSON string, in llama-common's spelling."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


class MessageReader:
    """Reads one answer. For one thread.

    Args:
        parser: of the answer's format.
        delimiters: those of the parser.
        skips_prefill: whether the parser's generation prompt holds a beginning of the message
            that is not part of the answer.
    """

    def __init__(
        self, parser: ChatParser, delimiters: Delimiters, *, skips_prefill: bool = False
    ) -> None:
        self._parser = parser
        self._delimiters = delimiters
        self._probe = f"x{''.join(c for c in _PROBE if delimiters.find(c) < 0)}x"
        self._ledger = Ledger()
        self._texts: list[str] = []
        # The sketch is what stands for the text before, and the text since, as it came.
        self._before = ""
        self._since = ""
        self._n_settled = 0  # characters of `_since` that have been given out
        self._credit = _MAX_CREDIT
        self._is_open = False  # whether the text last parsed wants more
        self._is_plain = False  # the text left the format, and is content from there on
        self._run: TextRun | None = None
        self._run_field = ""  # "" while a call's JSON arguments run
        self._is_escaped = False
        self._call_text: list[str] = []
        self._prefill = Message()
        if skips_prefill:
            self._prefill = self._parse("") or Message()
        self._message = self._fixed = self._prefill

    @property
    def n_calls(self) -> int:
        """Calls given out so far."""
        return self._ledger.n_calls

    def feed(self, text: str) -> OutputDelta:
        """Take in text; return what became certain."""
        if text:
            self._texts.append(text)
            self._take(text)
        return self._ledger.take()

    def finish(self, *, is_cut: bool) -> OutputDelta:
        """Take in the end of the text; return what was held back.

        Args:
            is_cut: the answer did not end by itself, so that what looks like the beginning of a
                delimiter or of a call was one: it is dropped.
        """
        if self._is_plain:
            return self._ledger.take()
        whole = self._parse("".join(self._texts))
        if whole is None:
            self._leave_run()
            self._give_up()
        else:
            self._add_unread(self._ledger.add_rest(self._prefill, whole), is_cut=is_cut)
        return self._ledger.take()

    def _take(self, text: str) -> None:
        while text:
            if self._is_plain:
                self._ledger.add("content", text)
                return
            if self._call_text:
                text = self._take_json(text)
            elif self._run is not None:
                text = self._take_run(text)
            else:
                self._since += text
                self._credit = min(self._credit + _CHARS_PER_PIECE, _MAX_CREDIT)
                if self._credit > 0:
                    self._read()
                return

    def _add_unread(self, new: str, *, is_cut: bool) -> None:
        """Give out what looked like the beginning of a delimiter or of a call, and was none.

        Args:
            new: what was given out last, of the text that was held back.
            is_cut: the answer did not end by itself, so it may have been one.
        """
        field, unread = "content", self._since[self._n_settled :] if self._is_open else ""
        if self._run is not None:
            field, unread = self._run_field, self._written(self._run.held)
        if not is_cut and unread.strip() and unread.startswith(new):
            self._ledger.add(field, unread[len(new) :])

    # ---- free text ------------------------------------------------------------------------------

    def _take_run(self, text: str) -> str:
        """Pass text on; return what may end the run, for the parser to decide."""
        assert self._run is not None  # noqa: S101  (for the type checker)
        certain, rest = self._run.feed(text)
        self._ledger.add(self._run_field, self._written(certain))
        if rest:
            self._run = None
        return rest

    def _written(self, text: str) -> str:
        """Return a piece of the current run as its field has it."""
        return _escaped(text) if self._is_escaped else text

    def _take_json(self, text: str) -> str:
        """Pass a call's arguments on; return what follows their end."""
        rest = self._ledger.add_arguments(self._ledger.n_calls - 1, text)
        self._call_text.append(text[: len(text) - len(rest)])
        if self._ledger.arguments_state == "complete":
            self._call_text = []
        elif self._ledger.arguments_state == "invalid":
            # No JSON after all: the parser has to see it.
            self._leave_run()
        return rest

    def _leave_run(self) -> None:
        if self._call_text:
            arguments = "".join(self._call_text)
            self._before = self._before[: -len("{}")]
            self._since = arguments
            self._n_settled = len(arguments)
            last = self._message.calls[-1]
            calls = (*self._message.calls[:-1], Call(last.id, last.name, ""))
            self._message = Message(self._message.content, self._message.reasoning, calls)
            self._message = self._message.extended("arguments", arguments)
            self._call_text = []
        elif self._run is not None:
            self._since = self._run.held
            self._n_settled = 0
            self._run = None

    # ---- the parser -----------------------------------------------------------------------------

    def _parse(self, text: str) -> Message | None:
        """Read a text; None where it is not in the format and never will be."""
        self._credit -= len(text)
        try:
            parsed = self._parser.parse(text)
        except NativeError:
            return None
        rest = parsed["rest"]
        if rest.strip() and self._delimiters.held(rest) < len(rest):
            return None
        self._is_open = parsed["is_open"] or bool(rest)
        return Message.of(parsed)

    def _read(self) -> None:
        """Parse the sketch, and see whether it ends inside of a free text."""
        sketch = self._before + self._since
        message = self._parse(sketch)
        if message is None:
            self._give_up()
            return
        before = self._message
        self._message = self._ledger.add_difference(before, message)
        if self._message == before:
            return
        self._settle(before)
        if not self._go_on(message) and not self._start_json(sketch, message):
            self._start_run(sketch if message == self._message else sketch.rstrip(), before)

    def _go_on(self, message: Message) -> bool:
        """Go on with the last run if what looked like its end was none, here."""
        if not self._run_field:
            return False
        longer = self._fixed.extended(self._run_field, self._written(self._since))
        if message != longer:
            self._run_field = ""
        if message != longer or message != self._message:
            return False
        self._run = TextRun(self._delimiters)
        self._fix(self._before, self._fixed)
        return True

    def _settle(self, before: Message) -> None:
        """Note how much of the text since the sketch's fixed part has been given out."""
        if self._message.calls != before.calls:
            self._n_settled = len(self._since)
            return
        for new, old in (
            (self._message.reasoning, before.reasoning),
            (self._message.content, before.content),
        ):
            grown = new[len(old) :]
            at = self._since.find(grown, self._n_settled) if grown else -1
            if at >= 0:
                self._n_settled = at + len(grown)

    def _give_up(self) -> None:
        """The text is not in the format: what was not given out of it is content."""
        self._is_plain = True
        self._ledger.add("content", self._since[self._n_settled :])

    def _start_run(self, sketch: str, before: Message) -> None:
        """Enter a run if the sketch, or all of it but white space, ends inside of a free text."""
        message = self._message
        space = (self._before + self._since)[len(sketch) :]
        probed = self._parse(sketch + self._probe)
        for field, is_escaped in (("content", False), ("reasoning", False), ("arguments", True)):
            grown = getattr(message, field)[len(getattr(before, field)) :]
            if not grown or not (is_escaped or sketch.endswith(grown[-_N_SAME:])):
                continue
            text = _escaped(self._probe) if is_escaped else self._probe
            if probed == message.extended(field, text):
                self._run = TextRun(self._delimiters)
                self._run_field, self._is_escaped = field, is_escaped
                self._fix(sketch + "x", message.extended(field, "x"))
                self._since = self._take_run(space)
                return

    def _start_json(self, sketch: str, message: Message) -> bool:
        """Enter a run if the sketch ends inside of a call's arguments, written as JSON."""
        begun = message.arguments
        if len(begun) < len('{"') or self._ledger.arguments_state != "open":
            return False
        at = sketch.rfind(begun)
        unread = sketch[at + len(begun) :]
        if at < 0 or len(unread) > _MAX_UNREAD:
            return False
        closed = self._parse(sketch[:at] + "{}")
        last = Call(message.calls[-1].id, message.calls[-1].name, "{}")
        if closed != Message(message.content, message.reasoning, (*message.calls[:-1], last)):
            return False
        self._call_text = [begun]
        self._fix(sketch[:at] + "{}", closed)
        rest = self._take_json(unread)
        self._since += rest
        return True

    def _fix(self, sketch: str, message: Message) -> None:
        """Let a sketch stand for all text so far."""
        self._before, self._since, self._n_settled = sketch, "", 0
        self._message = self._fixed = message
