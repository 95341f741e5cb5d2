"""A chat: the conversation, how answers are made, and where they are shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyllama.cli.answer import Answer, show
from pyllama.cli.attachments import Attachment, MediaFile, attach
from pyllama.cli.chat.conversation import Conversation, Turn
from pyllama.cli.interrupt import Interrupt
from pyllama.errors import ConfigError, InvalidMedia

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyllama import Llama
    from pyllama.cli.console import Console
    from pyllama.params import GenerationParams


class Chat:
    """What the loop and the commands work on.

    Args:
        llm: the model.
        out: where answers go.
        notes: where everything else goes; the same in a terminal.
        options: what every answer is to be, by the names of ``Llama.chat_prompt``.
    """

    def __init__(
        self, llm: Llama, out: Console, notes: Console, *, options: Mapping[str, Any]
    ) -> None:
        self.llm = llm
        self.out = out
        self.notes = notes
        self.options = dict(options)
        self.params = _params(llm)
        self.conversation = Conversation(llm.recommended.system_prompt)
        self.attachments: list[Attachment | MediaFile] = []
        """What goes into the next question."""
        self.last: Answer | None = None
        self.is_verbose = False
        self.can_go_on = True
        """Whether a person can have an answer continued that was stopped."""
        self._is_thinking = False

    def attach(self, path: str) -> None:
        """Put a file into the next question; a text that is too long is cut.

        Raises:
            ConfigError: it cannot be read, or there is no room for it.
            InvalidMedia: it is broken.
            Unsupported: it is nothing that the model takes.
        """
        room = self.llm.n_ctx // 2 - sum(item.n_tokens for item in self._texts)
        if room < 1:
            raise ConfigError("what is attached takes half of the context already; not attached")
        found = attach(path, self.llm, max_tokens=room)
        if isinstance(found, MediaFile):
            self._check_readable(found)
        self.attachments.append(found)
        if isinstance(found, Attachment) and found.is_cut:
            self.notes.line(f"attached {found.summary}", "warn")

    def ask(self, text: str) -> Answer:
        """Ask a question with what is attached; show the answer and remember both.

        Raises:
            PyllamaError: there is no answer; the conversation stays what it was.
        """
        question = "\n\n".join([*(item.quoted for item in self._texts), text])
        files = [item.part for item in self.attachments if isinstance(item, MediaFile)]
        answer = self._answer(question, files)
        self.attachments.clear()
        return answer

    def ask_again(self) -> Answer | None:
        """Answer the last question once more; None where there is none.

        Raises:
            PyllamaError: there is no answer; the conversation stays what it was.
        """
        if not self.conversation.turns:
            return None
        turn = self.conversation.turns.pop()
        n_before = len(self.conversation.turns)
        try:
            return self._answer(turn.question, turn.files)
        finally:
            if len(self.conversation.turns) == n_before:
                self.conversation.turns.append(turn)

    def go_on(self) -> Answer | None:
        """Continue the last answer from where it ended; None where there is none.

        Raises:
            PyllamaError: it cannot be continued; the conversation stays what it was.
        """
        if not self.conversation.turns:
            return None
        turn = self.conversation.turns[-1]
        # Where it was stopped among its thoughts, those go on.
        part = "content" if turn.answer or not turn.reasoning else "reasoning_content"
        answer = self._generate(self.conversation.messages(), continue_final_message=part)
        self.conversation.turns[-1] = replace(
            turn, answer=turn.answer + answer.text, reasoning=turn.reasoning + answer.reasoning
        )
        self._tell_end(answer)
        return answer

    @property
    def _texts(self) -> list[Attachment]:
        return [item for item in self.attachments if isinstance(item, Attachment)]

    def _check_readable(self, file: MediaFile) -> None:
        """Read a file now, so that a broken one is no part of a question."""
        try:
            self.llm.chat_prompt(Conversation().messages("?", [file.part]))
        except InvalidMedia as error:
            reason = error.message.replace(error.param, file.name) if error.param else error.message
            raise InvalidMedia(reason, param="attach") from error

    def _answer(self, question: str, files: Sequence[dict[str, Any]]) -> Answer:
        answer = self._generate(self.conversation.messages(question, files))
        if answer.text or answer.finish_reason is not None:
            self.conversation.turns.append(
                Turn(
                    question=question,
                    files=tuple(files),
                    answer=answer.text,
                    reasoning=answer.reasoning,
                )
            )
        self._tell_end(answer)
        return answer

    def _generate(self, messages: list[dict[str, Any]], **options: Any) -> Answer:
        """Show what the model says after some messages."""
        try:
            prompt = self.llm.chat_prompt(messages, **self.options, **options)
            with Interrupt() as interrupt:
                self.last = show(
                    self.llm.start(prompt, self.params),
                    interrupt,
                    text=self._show_text,
                    reasoning=self._show_reasoning,
                )
        finally:
            self.out.end_line()
        return self.last

    def _show_text(self, text: str) -> None:
        if text and self._is_thinking:
            self._is_thinking = False
            self.notes.end_line()
        self.out.write(text)

    def _show_reasoning(self, text: str) -> None:
        # A program that reads the notes has no use for thoughts.
        if text and (self.notes.is_terminal or self.is_verbose):
            self._is_thinking = True
            self.notes.write(text, "dim")

    def _tell_end(self, answer: Answer) -> None:
        if answer.finish_reason is None and answer.text:
            self.notes.line("[stopped]", "dim")
        elif answer.finish_reason is None:
            self.notes.line("[stopped before the answer began; the question is dropped]", "dim")
        elif answer.finish_reason == "length":
            self.notes.line(f"[{self._limit(answer)}]", "warn")
        if self.is_verbose:
            self.notes.line(answer.stats, "dim")

    def _limit(self, answer: Answer) -> str:
        """Say what cut an answer, and what to do about it."""
        n_tokens, goes_on = answer.usage.completion_tokens, self.can_go_on
        if n_tokens == self.params.max_tokens:
            remedy = "/continue goes on, /set max_tokens N" if goes_on else "--max-tokens N"
            return f"stopped at the limit of {n_tokens} tokens; {remedy} moves it"
        remedy = "/undo and /clear make room, -c N" if goes_on else "-c N"
        return f"stopped: the context of {self.llm.n_ctx} tokens is full; {remedy} makes it larger"


def _params(llm: Llama) -> GenerationParams:
    """Return how answers are made: an answer may take the whole context unless somebody says."""
    if "max_tokens" in llm.settings.generation_given:
        return llm.recommended.over(llm.defaults)
    return llm.recommended.over(llm.defaults.with_options(max_tokens=-1))
