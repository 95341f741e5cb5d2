"""The library's face: one object that loads a model and answers from many threads at once."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Literal, overload

from pyllama import settings as settings_module
from pyllama.embeddings import EmbeddingRequests
from pyllama.engine import Mailbox, device_names
from pyllama.errors import ConfigError, InvalidRequest, ModelClosed
from pyllama.generation import Generation
from pyllama.generations import Generations
from pyllama.opening import check_model, open_model
from pyllama.params import GenerationParams
from pyllama.process import Process
from pyllama.results import EngineStatus
from pyllama.structured import ResponseForm, form_options
from pyllama.text import CHAT_OPTIONS, ChatOptions, Prompt
from pyllama.text.infill import infill_tokens
from pyllama.text_requests import TextRequests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyllama.card import ModelCard
    from pyllama.embeddings import PendingEmbeddings
    from pyllama.metrics import Metrics
    from pyllama.recommendation import Recommendation
    from pyllama.results import Completion, Embeddings, ModelInfo
    from pyllama.sched import Request
    from pyllama.settings import Settings
    from pyllama.text import AnswerReader, TextCodec

__all__ = ["Llama", "Prompt"]


class Llama:
    """A loaded model. Thread-safe: calls from many threads are batched together.

    It belongs to the process that loaded it: in a forked one every use raises Forked, and closing
    it does nothing.

    Args:
        model: a path, ``"default"``, or ``"hf:org/repo[:file]"``.
        settings: complete settings instead of a model and options.
        **options: llama-server's long option names with underscores (``ctx_size=4096``,
            ``parallel=4``, ``threads=2``), and pyllama's own (``max_queue``, ``step_ms``, and each
            generation parameter as a default: ``max_tokens``, ``temperature``, ...).

    Raises:
        UnknownOption: an option does not exist or is deprecated; names the nearest right one.
        ConfigError: an option has a value that cannot be honoured.
        ModelLoadError: the model cannot be found or loaded.
    """

    def __init__(
        self, model: str = "default", *, settings: Settings | None = None, **options: Any
    ) -> None:
        if settings is None:
            settings = settings_module.from_keywords(str(model), options)
        elif options:
            raise ConfigError(f"settings are complete; drop {', '.join(options)}")
        self.settings: Settings = settings
        self._process = Process()
        self._model = opened = open_model(settings)
        self._engine = opened.engine
        self.info: ModelInfo = opened.info
        self.card: ModelCard = opened.card
        self.n_ctx: int = opened.n_ctx
        self.defaults: GenerationParams = settings.generation
        self.devices: tuple[str, ...] = device_names()
        self.recommended: Recommendation = self.card.recommendation.without(
            settings.generation_given
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Llama:
        """Load what the settings say."""
        return cls(settings=settings)

    @staticmethod
    def check(settings: Settings) -> None:
        """Look at the model that settings name as a load of it would, at a fraction of its cost.

        Raises:
            ModelLoadError, ConfigError: it could not be loaded.
        """
        check_model(settings)

    # ---- text in, text out ------------------------------------------------------------------

    @overload
    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        stream: Literal[False] = False,
        response_format: Any = None,
        **options: Any,
    ) -> Completion: ...
    @overload
    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        stream: Literal[True],
        response_format: Any = None,
        **options: Any,
    ) -> Generation: ...
    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        stream: bool = False,
        response_format: Any = None,
        **options: Any,
    ) -> Completion | Generation:
        """Answer a chat, as the model's card recommends where nobody says otherwise.

        Args:
            messages: OpenAI's form: ``[{"role": "user", "content": "Hi"}]``. Without a system
                message they get the one that the card has.
            stream: return at once an iterator of deltas instead of the whole answer.
            response_format: a Pydantic model, a JSON schema, or OpenAI's object: the answer has
                this form, and :attr:`~pyllama.results.Completion.parsed` is the object.
            **options: the fields of :class:`~pyllama.text.ChatOptions` (``tools``,
                ``tool_choice``, ``enable_thinking``, ...) and generation parameters
                (``max_tokens``, ``temperature``, ``stop``, ...).

        Raises:
            InvalidRequest: messages or options are wrong; ContextOverflow if they are too long.
            QueueFull: too many requests are waiting.
            InvalidResponse: the answer does not have the form that was asked for.
        """
        chat = {name: options.pop(name) for name in CHAT_OPTIONS & options.keys()}
        form = ResponseForm.of(response_format)
        wanted = self.recommended.over(self.defaults).with_options(**options)
        with form_options(form, chat) as formed, self.recommended.led(messages) as led:
            prompt = self.chat_prompt(led, **formed)
        generation = self.start(prompt, wanted)
        generation.form = form
        return generation if stream else generation.result()

    @overload
    def generate(
        self, prompt: str | Sequence[int], *, stream: Literal[False] = False, **params: Any
    ) -> Completion: ...
    @overload
    def generate(
        self, prompt: str | Sequence[int], *, stream: Literal[True], **params: Any
    ) -> Generation: ...
    def generate(
        self, prompt: str | Sequence[int], *, stream: bool = False, **params: Any
    ) -> Completion | Generation:
        """Continue a text or a list of token ids; arguments and errors as in :meth:`chat`."""
        wanted = self.defaults.with_options(**params)
        generation = self.start(self.text_prompt(prompt), wanted)
        return generation if stream else generation.result()

    def embed(self, inputs: str | Sequence[Any], **options: Any) -> Embeddings:
        """Return what texts mean to the model, as vectors; arguments as in :meth:`start_embed`."""
        return self.start_embed(inputs, **options).result()

    def start_embed(self, inputs: str | Sequence[Any], **options: Any) -> PendingEmbeddings:
        """Hand inputs to the engine; see :meth:`pyllama.embeddings.EmbeddingRequests.start`."""
        codec = self._open_codec
        requests = EmbeddingRequests(self._engine, self._model.embedder, codec, self.settings)
        return requests.start(inputs, **options)

    def tokenize(
        self,
        text: str,
        *,
        special: bool = False,
        add_special: bool | None = None,
        parse_special: bool | None = None,
    ) -> list[int]:
        """Return the token ids of a text.

        Args:
            text: the text.
            special: both of the following.
            add_special: add the vocabulary's BOS and EOS.
            parse_special: read ``<|im_end|>`` and its like as the control tokens that they name.
        """
        return self._open_codec.vocab.tokenize(
            text,
            add_special=special if add_special is None else add_special,
            parse_special=special if parse_special is None else parse_special,
        )

    def detokenize(self, tokens: Iterable[int], *, special: bool = False) -> str:
        """Return the text of tokens; with ``special`` control tokens' names, and marks of media."""
        return self._open_codec.detokenize(tokens, special=special)

    def piece(self, token: int) -> bytes:
        """Return a token's bytes, which may be a part of a character; control tokens' names too.

        Raises:
            ValueError: there is no such token.
        """
        return self._open_codec.vocab.piece(token, special=True)

    # ---- in two steps, as a server needs it ---------------------------------------------------

    def chat_prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        **options: Any,
    ) -> Prompt:
        """Render a chat with the model's template and tokenise it.

        Args:
            messages: OpenAI's form: ``[{"role": "user", "content": "Hi"}]``.
            **options: the fields of :class:`pyllama.text.ChatOptions`: ``tools``, ``tool_choice``,
                ``json_schema``, ``enable_thinking``, ...

        Raises:
            InvalidRequest: messages or options are wrong; ``param`` names the field.
        """
        return self._open_codec.chat(messages, ChatOptions(**options))

    def text_prompt(
        self,
        prompt: str | Sequence[int],
        *,
        json_schema: Mapping[str, Any] | bool | None = None,
        grammar: str | None = None,
    ) -> Prompt:
        """Tokenise a text, or check token ids.

        Args:
            prompt: the text, or token ids.
            json_schema: what the answer must satisfy as JSON.
            grammar: GBNF that the answer must follow.

        Raises:
            InvalidRequest: the prompt, the schema or the grammar cannot be used.
        """
        return self._open_codec.prompts.prompt(prompt, json_schema=json_schema, grammar=grammar)

    def infill_prompt(self, prefix: str | Sequence[int], suffix: str, **constraint: Any) -> Prompt:
        """Ask for what stands between two texts; what else :meth:`text_prompt` takes, this does.

        Raises:
            Unsupported: the model was not made to fill in.
            InvalidRequest: the prefix holds ids outside of the vocabulary.
        """
        codec = self._open_codec
        tokens = infill_tokens(codec.vocab, prefix, suffix, codec.limit)
        return self.text_prompt(tokens, **constraint)

    def start(
        self, prompt: Prompt, params: GenerationParams, *, request_id: str | None = None
    ) -> Generation:
        """Hand a prompt to the engine; returns at once.

        Raises:
            InvalidRequest: the prompt is empty or holds what is no token of this vocabulary.
            ContextOverflow: the prompt leaves no room for a token.
            QueueFull: too many requests are waiting.
            Draining: the engine is shutting down.
            ModelClosed: the model was closed.
            EngineError: the engine has failed.
        """
        request = self._request(prompt, params, request_id or uuid.uuid4().hex)
        return self._begin(prompt, params, request)

    def start_all(
        self,
        wanted: Sequence[tuple[Prompt, GenerationParams]],
        *,
        request_id: str | None = None,
    ) -> Generations:
        """Hand several prompts to the engine as one request: all of them are taken, or none.

        Prompts that begin alike are computed once, so several answers to one prompt cost little
        more than one. Returns at once; raises as :meth:`start`, and InvalidRequest for more than
        can ever be taken together.
        """
        n_max = self._engine.max_accepted
        if len(wanted) > n_max:
            raise InvalidRequest(
                f"{len(wanted)} answers are asked for and at most {n_max} are computed for one "
                "request; ask for fewer, or raise --max-queue"
            )
        request_id = request_id or uuid.uuid4().hex
        mailbox = Mailbox()
        generations: list[Generation] = []
        # What is wrong with any of them shows before the first is started.
        requests = [self._request(*pair, request_id) for pair in wanted]
        try:
            for (prompt, params), request in zip(wanted, requests, strict=True):
                generations.append(self._begin(prompt, params, request, mailbox))
        except BaseException:
            for generation in generations:
                generation.close()
            raise
        return Generations(generations, mailbox)

    def reader(self, prompt: Prompt, params: GenerationParams) -> AnswerReader:
        """Return what reads one answer to a prompt: tokens in, content and tool calls out."""
        return self._open_codec.reader(prompt, params)

    def _request(self, prompt: Prompt, params: GenerationParams, request_id: str) -> Request:
        requests = TextRequests(self._open_codec, self.info.can_generate, self.n_ctx, self.settings)
        return requests.make(prompt, params, request_id)

    def _begin(
        self,
        prompt: Prompt,
        params: GenerationParams,
        request: Request,
        mailbox: Mailbox | None = None,
    ) -> Generation:
        reader = self.reader(prompt, params)
        ticket = self._engine.submit(request, mailbox)
        return Generation(self._engine, ticket, reader, prompt, owner=self)

    @property
    def _open_codec(self) -> TextCodec:
        self._process.check()
        codec = self._model.codec
        if codec is None:
            raise ModelClosed("the model was closed")
        return codec

    # ---- life ---------------------------------------------------------------------------------

    def status(self) -> EngineStatus:
        """Return what the engine is doing now."""
        self._process.check()
        engine = self._engine
        return EngineStatus(
            state=engine.state.value,
            n_slots=self._model.n_slots,
            n_busy=engine.n_busy,
            n_waiting=engine.n_waiting,
        )

    def metrics(self) -> Metrics:
        """Return what the engine has done so far; never waits for it."""
        self._process.check()
        return self._engine.metrics()

    def check_integrity(self) -> None:
        """Compare the scheduler's ledger of KV cells with llama.cpp's. Raises EngineError."""
        self._engine.check_integrity()

    def drain(self, timeout_s: float) -> bool:
        """Take no new requests and let the accepted ones finish.

        Args:
            timeout_s: seconds after which those left end with Cancelled.

        Returns:
            Whether every request ended by itself.
        """
        return self._engine.drain(timeout_s)

    def close(self) -> None:
        """End every request, stop the engine thread and free the model; idempotent."""
        self._model.close()

    def __enter__(self) -> Llama:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
