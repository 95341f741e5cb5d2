"""The one object that says how a model is loaded and served: frozen, complete, plain data."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from pyllama.errors import ConfigError
from pyllama.params import GenerationParams
from pyllama.sched.limits import STEP_S

MAX_NORM = 64
"""The highest p-norm: that one is the largest number already, to single precision."""

_ORIGIN = re.compile(r"\*|localhost|[a-z][a-z0-9+.-]*://[^/\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator decides, before anything is loaded."""

    model: str = "default"
    """Model reference: a path, ``default`` or ``hf:org/repo[:file]``."""
    alias: str | None = None
    """Name under which the model is served; None takes the file's name."""
    host: str = "127.0.0.1"
    port: int = 8000
    cors_origins: tuple[str, ...] = ("localhost",)
    """Web pages that may use the server beside its own: origins such as
    ``https://chat.example.com``, ``localhost`` for those of the user's machine, ``*`` for all."""
    parallel: int = 4
    """Slots: requests that are computed at the same time."""
    max_queue: int = 64
    """Requests that may wait for a slot; beyond it 429."""
    step_ms: int = round(1e3 * STEP_S)
    """Target duration of a step that carries running streams, milliseconds. Bounds the gap that
    a new prompt tears into them."""
    prepare_s: float = 60.0
    """Time that a server takes at most to make a prompt of a request, seconds; beyond it 413."""
    drain_s: float = 30.0
    """Time that running answers get to finish on shutdown, seconds."""
    max_connections: int = 2000
    """Connections that the server holds open, as far as the process may open files. Beyond that
    the one goes that waited longest for a request."""
    max_unfinished: int = 0
    """Connections of one client address whose request is not whole; its oldest one goes beyond
    that. 0 takes an eighth of the connections."""
    read_timeout_s: float = 20.0
    """Time for the head of a request, and for its body beside 8 KiB/s of it, seconds; then 408."""
    log_prompts: bool = False
    """Log the text of each prompt. Off: no text of a user reaches the log."""
    media_urls: bool = False
    """Fetch pictures, sound and video that a request names by http: and https: addresses. Off:
    a client cannot make this machine connect to another one."""
    kernels: bool = True
    """Compute on pyllama's own kernels where there are any for the processor; off: on llama.cpp's
    alone. The first model of a process settles it."""
    tuned: bool = True
    """Use what ``pyllama tune`` measured, beneath what :attr:`options` say."""
    generation: GenerationParams = field(default_factory=GenerationParams)
    """Defaults of requests that leave a parameter out."""
    generation_given: tuple[str, ...] = ()
    """Names of the parameters that the operator set of them."""
    chat_template: str | None = None
    use_jinja: bool = True
    template_kwargs: dict[str, Any] = field(default_factory=dict)
    reasoning_format: str = "auto"
    """Where thoughts go: ``none``, ``auto``, ``deepseek`` or ``deepseek-legacy``."""
    reasoning_budget: int = -1
    """Tokens of a thinking block; -1: no bound."""
    reasoning_budget_message: str = ""
    """What ends a thinking block whose budget is used up, before the end tag."""
    swa_full: bool = False
    metrics: bool = False
    """Answer ``GET /metrics``."""
    embedding: bool = False
    """Make embeddings only: no text is generated, and no memory is taken for it."""
    pooling: str | None = None
    """How an input's tokens become one embedding: ``none``, ``mean``, ``cls``, ``last``. None
    takes what the model says, else the mean."""
    embd_normalize: int = 2
    """The norm that embeddings are scaled to: -1 none, 0 largest number 32760, 1 taxicab, 2
    euclidean, p above that the p-norm."""
    kv_unified: bool = False
    """One pool of KV cells for all slots; otherwise each has a stream of its own."""
    cache_ram: int | None = None
    """MiB of host memory for prefixes that no slot holds any more: -1 no limit, 0 none. None
    takes a quarter of what is free once the model is loaded, at most 8192."""
    mmproj: str | None = None
    """The projector through which the model sees pictures and hears: a path, or
    ``hf:org/repo:file``. None: the model takes text only."""
    options: tuple[tuple[str, ...], ...] = ()
    """Options for llama.cpp, each its spelling and its values: ``("--ctx-size", "4096")``."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be honoured."""
        _within("parallel", self.parallel, 1, 256)
        _within("port", self.port, 0, 65535)
        _within("max_queue", self.max_queue, 0, 100_000)
        _within("step_ms", self.step_ms, 1, 60_000)
        _within("cache_ram", -1 if self.cache_ram is None else self.cache_ram, -1, 1 << 30)
        _within("embd_normalize", self.embd_normalize, -1, MAX_NORM)
        if self.pooling == "rank":
            raise ConfigError("--pooling rank is for ranking, which pyllama does not do")
        _within("drain_s", self.drain_s, 0, 86_400)
        _within("prepare_s", self.prepare_s, 1, 86_400)
        _within("max_connections", self.max_connections, 1, 1_000_000)
        _within("max_unfinished", self.max_unfinished, 0, 1_000_000)
        _within("read_timeout_s", self.read_timeout_s, 0.1, 86_400)
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"--cors-origins must be *, localhost or origins such as https://example.com, "
                    f"without a path, separated by commas; not {origin!r}"
                )

    def to_json(self) -> str:
        """Return the settings as JSON text, for another process."""
        return json.dumps({**asdict(self), "generation": self.generation.as_dict()})

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Return the settings that :meth:`to_json` wrote."""
        data = json.loads(text)
        return cls(
            generation=GenerationParams().with_options(**data.pop("generation")),
            options=tuple(tuple(option) for option in data.pop("options")),
            cors_origins=tuple(data.pop("cors_origins")),
            generation_given=tuple(data.pop("generation_given")),
            **data,
        )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} must be within {low} and {high}, not {value}")
