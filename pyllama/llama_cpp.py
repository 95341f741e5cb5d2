"""llama-cpp-python's interface over pyllama: its users change one import.

::

    from pyllama.llama_cpp import Llama

Names, defaults and the shape of answers are llama-cpp-python's. What differs is what is behind
them: calls from many threads are computed together.
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

from pyllama.engine import can_offload
from pyllama.errors import ConfigError, Unsupported
from pyllama.field_names import caller_names, spelled
from pyllama.llama_cpp_answers import ChatShape, CompletionShape
from pyllama.llm import Llama as Engine
from pyllama.structured import ResponseForm, form_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from pyllama.generation import Generation
    from pyllama.llama_cpp_answers import Shape
    from pyllama.params import GenerationParams
    from pyllama.results import Embedding

# The constructor's names that are llama-server's under another spelling.
_SPELLINGS = {
    "n_batch": "batch_size",
    "n_ubatch": "ubatch_size",
    "n_threads": "threads",
    "n_threads_batch": "threads_batch",
    "chat_format": "chat_template",
}
# And those of a generation's parameters.
_PARAM_SPELLINGS = {"mirostat": ("mirostat_mode",)}
_POOLINGS = ("none", "mean", "cls", "last", "rank")
# Requests of several threads that are computed at the same time. Any of them may use all of n_ctx.
_PARALLEL = 4


class Llama:
    """A model, with llama-cpp-python's methods.

    Args:
        model_path: the model file, or any other reference that :class:`pyllama.Llama` takes.
        n_ctx: KV cells, shared by the requests that run; 0 means what the model was trained with.
        n_gpu_layers: layers on the GPU; 0 is none, -1 all.
        seed: default seed of the sampler; None draws one for each request.
        verbose: whether llama.cpp's log lines reach the ``pyllama.native`` logger below errors.
        embedding: without meaning here: every model makes embeddings, and generates as well.
        pooling_type: llama.cpp's number; -1 is what the model says, else the mean.
        **options: llama-cpp-python's further names for what pyllama has (``n_batch``,
            ``n_threads``, ``chat_format``, ...), and options of :class:`pyllama.Llama`, which win
            over the defaults of the above.

    Raises:
        UnknownOption: an option does not exist here; names the nearest.
        ConfigError: an option's value cannot be honoured.
        ModelLoadError: the model cannot be loaded.
    """

    def __init__(
        self,
        model_path: str,
        *,
        n_ctx: int = 512,
        n_gpu_layers: int = 0,
        seed: int | None = None,
        verbose: bool = True,
        embedding: bool = False,  # noqa: ARG002 - their signature
        pooling_type: int = -1,
        **options: Any,
    ) -> None:
        if not verbose:
            logging.getLogger("pyllama.native").setLevel(logging.ERROR)
        wanted = {_SPELLINGS.get(name, name): value for name, value in options.items()}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        wanted.setdefault("parallel", _PARALLEL)
        wanted.setdefault("kv_unified", True)
        if pooling_type >= len(_POOLINGS):
            raise ConfigError(
                f"pooling_type must be -1 or one of 0 to {len(_POOLINGS) - 1}, not {pooling_type}"
            )
        if pooling_type >= 0:
            wanted["pooling"] = _POOLINGS[pooling_type]
        # Without a GPU none is what there is, and llama.cpp warns of everything that is said of it.
        if n_gpu_layers or can_offload():
            wanted.setdefault("gpu_layers", "all" if n_gpu_layers < 0 else n_gpu_layers)
        if n_ctx:
            wanted.setdefault("ctx_size", n_ctx)
        self._seed = seed
        self.engine = Engine(model_path, **wanted)
        """The engine behind it."""

    # ---- completions --------------------------------------------------------------------------

    def create_completion(
        self,
        prompt: str | Sequence[int],
        suffix: str | None = None,
        max_tokens: int | None = 16,
        temperature: float = 0.8,
        top_p: float = 0.95,
        min_p: float = 0.05,
        typical_p: float = 1.0,
        logprobs: int | None = None,
        echo: bool = False,  # noqa: FBT001, FBT002 - their signature
        stop: str | Sequence[str] | None = None,
        top_k: int = 40,
        stream: bool = False,  # noqa: FBT001, FBT002 - their signature
        **further: Any,
    ) -> dict[str, Any] | Iterator[dict[str, Any]]:
        """Continue a text or token ids.

        Args:
            prompt: what is continued.
            suffix: what follows the answer, where the model knows to fill in.
            max_tokens: None or less than 1 means up to the end of the context.
            temperature, top_p, min_p, typical_p, top_k: the sampler's.
            logprobs: how many of the likeliest tokens to report for each one.
            echo: put the prompt before the answer.
            stop: strings that end the answer.
            stream: return an iterator of chunks.
            **further: ``seed``, penalties, ``mirostat_mode``, ``grammar`` (GBNF text),
                ``logit_bias``, and any generation parameter of pyllama.

        Returns:
            OpenAI's ``text_completion``, or chunks of it.

        Raises:
            InvalidRequest: something is wrong with an argument.
        """
        if echo and logprobs is not None:
            raise Unsupported("echo and logprobs exclude each other here", param="echo")
        constraint = {"grammar": further.pop("grammar", None)}
        params = self._params(
            further,
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            min_p=min_p,
            typical_p=typical_p,
            top_k=top_k,
            stop=stop,
            logprobs=logprobs,
        )
        if suffix is None:
            made = self.engine.text_prompt(prompt, **constraint)
        else:
            made = self.engine.infill_prompt(prompt, suffix, **constraint)
        generation = self.engine.start(made, params)
        before = "" if not echo else self._text(prompt)
        shape = CompletionShape(self.engine, before, has_logprobs=logprobs is not None)
        return self._answer(generation, shape, stream=stream)

    __call__ = create_completion

    def create_chat_completion(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        temperature: float = 0.2,
        top_p: float = 0.95,
        top_k: int = 40,
        min_p: float = 0.05,
        typical_p: float = 1.0,
        stream: bool = False,  # noqa: FBT001, FBT002 - their signature
        stop: str | Sequence[str] | None = None,
        response_format: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        logprobs: bool | None = None,  # noqa: FBT001 - their signature
        top_logprobs: int | None = None,
        **further: Any,
    ) -> dict[str, Any] | Iterator[dict[str, Any]]:
        """Answer a chat.

        Args:
            messages: OpenAI's form.
            tools, tool_choice: OpenAI's forms.
            temperature, top_p, top_k, min_p, typical_p: the sampler's.
            stream: return an iterator of chunks.
            stop: strings that end the answer.
            response_format: OpenAI's object, or llama-cpp-python's with a ``schema``.
            max_tokens: None or less than 1 means up to the end of the context.
            logprobs, top_logprobs: whether to report how likely each token was, and how many
                others beside it.
            **further: as for :meth:`create_completion`.

        Returns:
            OpenAI's ``chat.completion``, or chunks of it.

        Raises:
            InvalidRequest: something is wrong with an argument.
        """
        asked = {
            "tools": tools or (),
            "tool_choice": tool_choice or "auto",
            "grammar": further.pop("grammar", None),
        }
        with form_options(ResponseForm.of(response_format), asked) as options:
            made = self.engine.chat_prompt(messages, **options)
        with caller_names({"logprobs": "top_logprobs"}):
            params = self._params(
                further,
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                min_p=min_p,
                typical_p=typical_p,
                top_k=top_k,
                stop=stop,
                logprobs=(top_logprobs or 0) if logprobs else None,
            )
        generation = self.engine.start(made, params)
        return self._answer(generation, ChatShape(self.engine), stream=stream)

    # ---- embeddings ---------------------------------------------------------------------------

    def create_embedding(
        self,
        input: str | Sequence[str],  # noqa: A002 - their signature
        model: str | None = None,
    ) -> dict[str, Any]:
        """Return what texts mean to the model, as OpenAI's list of embeddings.

        Args:
            input: one text or several.
            model: the name that the answer has; None takes the model's own.

        Raises:
            InvalidRequest: a text is empty, or too long.
        """
        made = self.engine.embed(input, normalize=-1)
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "embedding": self._vector(embedding), "index": index}
                for index, embedding in enumerate(made.data)
            ],
            "model": model or self.engine.info.id,
            "usage": {"prompt_tokens": made.prompt_tokens, "total_tokens": made.prompt_tokens},
        }

    def embed(
        self,
        input: str | Sequence[str],  # noqa: A002 - their signature
        normalize: bool = False,  # noqa: FBT001, FBT002 - their signature
        truncate: bool = True,  # noqa: FBT001, FBT002 - their signature
        return_count: bool = False,  # noqa: FBT001, FBT002 - their signature
    ) -> Any:
        """Return the vector of a text, or a list of those of several.

        Args:
            input: one text or several.
            normalize: scale vectors to the length 1.
            truncate: cut a text that is too long, instead of refusing it.
            return_count: return a pair, the number of tokens behind it.

        Raises:
            InvalidRequest: a text is empty, or too long.
        """
        made = self.engine.embed(input, normalize=2 if normalize else -1, truncate=truncate)
        vectors = [self._vector(embedding) for embedding in made.data]
        answer = vectors[0] if isinstance(input, str) else vectors
        return (answer, made.prompt_tokens) if return_count else answer

    # ---- the vocabulary -----------------------------------------------------------------------

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:  # noqa: FBT001, FBT002 - their signature
        """Return the token ids of UTF-8 text.

        Args:
            text: the text.
            add_bos: must agree with ``special``: pyllama adds control tokens and reads them, or
                does neither.
            special: whether the text may name control tokens.
        """
        if add_bos != special and self.engine.tokenize("", special=True):
            raise Unsupported(
                "add_bos and special must be alike: control tokens are added and read, or neither",
                param="add_bos",
            )
        return self.engine.tokenize(text.decode("utf-8", "replace"), special=special)

    def detokenize(self, tokens: Sequence[int], special: bool = False) -> bytes:  # noqa: FBT001, FBT002 - their signature
        """Return the text of token ids as UTF-8."""
        return self.engine.detokenize(tokens, special=special).encode()

    def n_ctx(self) -> int:
        """Return the KV cells that one request may use."""
        return self.engine.n_ctx

    def n_vocab(self) -> int:
        """Return the size of the vocabulary."""
        return self.engine.info.n_vocab

    # ---- life ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Free the model; idempotent."""
        self.engine.close()

    def __enter__(self) -> Llama:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    # ---- helpers ------------------------------------------------------------------------------

    def _params(self, further: Mapping[str, Any], **params: Any) -> GenerationParams:
        """Return the parameters of a generation."""
        for name in ("stopping_criteria", "logits_processor", "functions", "function_call"):
            if further.get(name) is not None:
                raise Unsupported(f"{name} is not supported; {_INSTEAD[name]}", param=name)
        if further.get("tfs_z", 1.0) != 1.0:
            raise Unsupported("tfs_z is no sampler of llama.cpp any more", param="tfs_z")
        known = {"seed": self._seed, **params, **further}
        if known["max_tokens"] is None or known["max_tokens"] < 1:
            known["max_tokens"] = -1
        given = {
            name: value
            for name, value in known.items()
            if value is not None and name not in {*_INSTEAD, "tfs_z", "model"}
        }
        values, names = spelled(given, _PARAM_SPELLINGS)
        others = {name: value for name, value in given.items() if name not in names.values()}
        with caller_names(names):
            return self.engine.defaults.with_options(**others, **values)

    def _vector(self, embedding: Embedding) -> list[Any]:
        if self.engine.info.pooling == "none":
            return [row.tolist() for row in embedding.rows]
        return embedding.vector.tolist()

    def _text(self, prompt: str | Sequence[int]) -> str:
        return prompt if isinstance(prompt, str) else self.engine.detokenize(prompt)

    def _answer(
        self, generation: Generation, shape: Shape, *, stream: bool
    ) -> dict[str, Any] | Iterator[dict[str, Any]]:
        head = {
            "id": f"{shape.prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": self.engine.info.id,
        }
        if stream:
            return shape.chunks(head, generation)
        return shape.whole(head, generation.result())


_INSTEAD = {
    "stopping_criteria": "close the stream when you have enough",
    "logits_processor": "use grammar, logit_bias or a response_format",
    "functions": "use tools",
    "function_call": "use tool_choice",
}
