"""Every exception that pyllama raises on purpose; a leaf module.

The tree is ordered by who must act::

    PyllamaError
    ├─ ConfigError(ValueError)          the operator, before anything is served
    │  └─ UnknownOption(TypeError)        an option that does not exist; names the nearest
    ├─ ModelLoadError                   the operator: the file, the reason, the remedy
    │  └─ ModelNotFound
    ├─ InvalidRequest(ValueError)       the caller: 400, with the field's name
    │  ├─ ContextOverflow                 the prompt does not fit the context
    │  ├─ InvalidMedia                    a picture, sound or video that cannot be read
    │  └─ Unsupported                     a field that exists, but not here (yet)
    ├─ TooLarge                         the caller: 413, it takes too long to make a prompt of it
    ├─ CapacityError                    the caller, later
    │  ├─ QueueFull                       429
    │  ├─ NotReady                        503: the model is still loading
    │  ├─ Draining                        503: the engine is shutting down
    │  └─ DiskFull                        507: no room for what a request has to keep
    ├─ Disabled                         the operator did not switch it on: 501
    ├─ InvalidResponse                  the caller: 422, the model did not do what was asked
    ├─ Cancelled                        nobody: the client left
    └─ EngineError                      us: 500
       ├─ NativeError                     llama.cpp refused a call
       ├─ ModelClosed                     the caller: it was closed, or is replaced: 503
       └─ Forked                          the caller: it is in the process before a fork
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class PyllamaError(Exception):
    """Base of every exception that pyllama raises on purpose."""


class ConfigError(PyllamaError, ValueError):
    """A setting has a value that cannot be honoured."""


class UnknownOption(ConfigError, TypeError):
    """An option does not exist; the message names the nearest one that does."""


class ModelLoadError(PyllamaError):
    """A model file could not be loaded.

    Args:
        path: the file or model reference.
        reason: what is wrong with it.
        remedy: what to do about it, one sentence.
    """

    def __init__(self, path: str, reason: str, remedy: str = "") -> None:
        self.path = path
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{path}: {reason}" + (f" {remedy}" if remedy else ""))


class ModelNotFound(ModelLoadError):
    """The model file or reference does not exist, or could not be fetched."""


class InvalidRequest(PyllamaError, ValueError):
    """A request that can never succeed as it stands.

    Args:
        message: what is wrong, and what would be right. If it names the field, it begins with it.
        param: path of the offending field (``messages[0].role``), if there is one.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        self.message = message
        self.param = param
        super().__init__(message)

    def call(self, path: str) -> None:
        """Call the field by the path that the caller knows."""
        if self.param is not None and self.message.startswith(self.param):
            self.message = path + self.message[len(self.param) :]
            self.args = (self.message,)
        self.param = path


class ContextOverflow(InvalidRequest):
    """A prompt that leaves no room for one generated token in a slot's context, or a long input.

    Args:
        n_prompt_tokens: tokens of the prompt.
        n_ctx: KV cells that one request may use.
        param: path of the field, where it is an input to embed.
        is_least: whether not all of the prompt was counted: what was is too much already.
    """

    def __init__(
        self, n_prompt_tokens: int, n_ctx: int, *, param: str | None = None, is_least: bool = False
    ) -> None:
        self.n_prompt_tokens = n_prompt_tokens
        self.n_ctx = n_ctx
        super().__init__(
            f"the request exceeds the available context size: {param or 'the prompt'} has "
            f"{'at least ' if is_least else ''}{n_prompt_tokens} tokens, the context {n_ctx}; "
            + ("shorten it" if param else "shorten the prompt or raise --ctx-size"),
            param=param,
        )


class InvalidMedia(InvalidRequest):
    """A picture, a sound or a video that is broken, too large, or not what it is said to be."""


class Unsupported(InvalidRequest):
    """A field that the dialect defines but this server cannot honour."""


class TooLarge(PyllamaError):
    """A request that takes longer to prepare than one may hold a thread."""


class CapacityError(PyllamaError):
    """No room now; the same request may succeed later.

    Args:
        message: what is full.
        retry_after_s: seconds after which a retry makes sense.
    """

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class QueueFull(CapacityError):
    """The bounded waiting queue is full."""


class NotReady(CapacityError):
    """The model is still loading."""


class Draining(CapacityError):
    """The engine is shutting down and takes no new requests."""


class DiskFull(CapacityError):
    """There is no room on the disk for what a request has to keep there."""


class Disabled(PyllamaError):
    """Something that the operator did not switch on; the message names the switch."""


class InvalidResponse(PyllamaError):
    """A whole answer that is not what the request asked for, and that no grammar could prevent.

    Args:
        message: what is wrong with the answer.
        details: one mapping for each fault, with its ``path`` in the answer and a ``message``.
    """

    def __init__(self, message: str, *, details: Sequence[Mapping[str, str]] = ()) -> None:
        self.details = tuple(details)
        super().__init__(message)


class Cancelled(PyllamaError):
    """The request was aborted by its own client."""


class EngineError(PyllamaError):
    """The engine failed; the request is lost through no fault of its own."""


class ModelClosed(EngineError):
    """The model was closed; where a server replaces it, the next one answers soon."""


class Forked(EngineError):
    """The model was loaded by another process, and the threads that compute are there."""


class NativeError(EngineError):
    """A call into llama.cpp failed.

    Args:
        where: the C function.
        detail: its return code or message.
    """

    def __init__(self, where: str, detail: object) -> None:
        self.where = where
        self.detail = detail
        super().__init__(f"{where}: {detail}")
