"""The three kinds of model reference, told apart by their spelling alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pyllama.errors import ConfigError

KINDS = "a path to a .gguf file, 'default', or 'hf:org/repo[:file]'"

# Two letters at least: one letter before a colon is a Windows drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+-]+):(.*)", re.DOTALL)
_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<choice>.+))?", re.ASCII)
_HUB_PAGE = re.compile(
    r"//(?:huggingface\.co|hf\.co)/(?P<repo>[\w.-]+/[\w.-]+)"
    r"(?:/(?:blob|resolve)/[^/]+/(?P<file>[^?#]+))?",
    re.ASCII,
)
_QUANT = re.compile(r"\w[\w.-]*", re.ASCII)
# Spellings of the hub's scheme that people bring from elsewhere.
_HUB_SCHEMES = ("hf", "huggingface", "hugging-face")


@dataclass(frozen=True, slots=True)
class DefaultModel:
    """The small chat model that is served when none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model in a repository of the Hugging Face hub."""

    repo: str
    """``org/name``."""
    file: str | None = None
    """Path of a .gguf file inside the repository."""
    quant: str | None = None
    """Quantisation by which a file is chosen, e.g. ``Q8_0``; case does not matter."""

    def __str__(self) -> str:
        """Return the reference as the user spells it."""
        choice = self.file or self.quant
        return f"hf:{self.repo}" + (f":{choice}" if choice else "")


def parse(ref: str) -> Path | DefaultModel | HubModel:
    """Tell which kind of reference this is; a path is returned with ``~`` expanded.

    A file that exists under the very name wins over a misspelt scheme, so that ``model:v2.gguf``
    can be named without ``./``.

    Raises:
        ConfigError: the reference is empty, malformed, or of an unknown scheme.
    """
    if not ref.strip():
        raise ConfigError(f"the model reference is empty; name {KINDS}")
    if ref == "default":
        return DefaultModel()
    if ref.startswith("hf:") and not ref.startswith("hf://"):
        return _hub_model(ref)
    path = _expanded(ref)
    scheme = _SCHEME.fullmatch(ref)
    if scheme is None or path.exists():
        return path
    raise ConfigError(f"model reference {ref!r}: {_hint(*scheme.groups())}")


def _expanded(ref: str) -> Path:
    try:
        return Path(ref).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"model reference {ref!r}: {error}; write the path out") from error


def _hub_model(ref: str) -> HubModel:
    match = _HUB.fullmatch(ref.removeprefix("hf:"))
    if match is None:
        raise ConfigError(
            f"model reference {ref!r} is not of the form 'hf:org/repo[:file]', "
            "e.g. 'hf:ggml-org/gemma-3-1b-it-GGUF' or 'hf:ggml-org/gemma-3-1b-it-GGUF:Q8_0'"
        )
    repo, choice = match["repo"], match["choice"]
    if choice is None:
        return HubModel(repo=repo)
    if choice.lower().endswith(".gguf"):
        return HubModel(repo=repo, file=choice)
    if _QUANT.fullmatch(choice):
        return HubModel(repo=repo, quant=choice)
    raise ConfigError(
        f"model reference {ref!r}: {choice!r} is neither a .gguf file nor a quantisation "
        "such as 'Q4_K_M'"
    )


def _hint(scheme: str, rest: str) -> str:
    """Say what an unknown scheme should have been, given what follows its colon."""
    page = _HUB_PAGE.match(rest)
    if page and scheme.lower() in {"http", "https"}:
        return f"write {str(HubModel(repo=page['repo'], file=page['file']))!r}"
    if scheme.lower() in _HUB_SCHEMES:
        return f"write {'hf:' + rest.lstrip('/')!r}"
    if scheme.lower() == "default":
        return "write 'default'"
    return f"there is no scheme {scheme + ':'!r}; name {KINDS}"
