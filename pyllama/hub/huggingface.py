"""Models from the Hugging Face hub: which file of a repository, and the download of its parts.

``huggingface_hub`` does the transfer; its cache, its token and its environment variables hold
(HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE). Without the network, files in the cache do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyllama.errors import ModelNotFound
from pyllama.hub.reference import HubModel
from pyllama.hub.report import is_terminal, say

# Source: find_best_model in llama.cpp's common/download.cpp asks for the first and the third;
# the second is what small repositories carry instead.
PREFERRED = ("Q4_K_M", "Q4_0", "Q8_0")

_PART = re.compile(r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
# .gguf files that go beside a model and are none themselves.
_BESIDE = re.compile(r"mmproj|imatrix|(?:^|[-_.])mtp[-_.]", re.IGNORECASE)
_MAX_LISTED = 20
_TOO_MANY_REQUESTS, _SERVER_ERRORS = 429, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """Files of a repository, as the hub or, where it cannot be reached, the cache knows them."""

    files: Sequence[str]
    unreachable: Exception | None = None
    """Why the hub was not reached."""


def fetch(model: HubModel, *, progress: bool = True) -> Path:
    """Return the path of the model's file (its first part) in the hub's cache.

    One request tells whether the hub is there at all; without it no other one is tried, since
    the client's own retries take half a minute.

    Raises:
        ModelNotFound: no file fits, or the hub refused or could not be reached.
    """
    listing = _list_files(model)
    try:
        files = choose(model, listing.files)
    except ModelNotFound:
        if listing.unreachable is None:
            raise
        raise _failed(model, listing.unreachable) from listing.unreachable
    if listing.unreachable is None and progress:
        say(f"fetching {files[0]} from hf:{model.repo}, unless it is in the cache")
    with _bars(shown=progress and is_terminal()):
        is_offline = listing.unreachable is not None
        paths = [_download(model, file, is_offline=is_offline) for file in files]
    if progress:
        say(f"{model} is at {paths[0]}")
    return paths[0]


def choose(model: HubModel, files: Sequence[str]) -> list[str]:
    """Return the file of a repository that the reference means, or all its parts in order.

    Args:
        model: the reference.
        files: paths inside the repository.

    Raises:
        ModelNotFound: no file fits; the message lists those that are there.
    """
    found = parts(model.file) if model.file else _by_quant(model.quant, files)
    missing = next((name for name in found if name not in files), None)
    if found and missing is None:
        return found
    if missing:
        reason = f"no {missing}."
    else:
        reason = (
            f"no .gguf file of quantisation {model.quant}." if model.quant else "no .gguf model."
        )
    raise ModelNotFound(str(model), f"the repository holds {reason}", _list(files))


def _by_quant(quant: str | None, files: Sequence[str]) -> list[str]:
    models = [name for name in sorted(files) if _is_model(name)]
    for wanted in (quant,) if quant else PREFERRED:
        if found := next((name for name in models if _has_quant(name, wanted)), None):
            return parts(found)
    return parts(models[0]) if models and not quant else []


def parts(file: str) -> list[str]:
    """Return the names of all parts of a model, in order; a whole file is its only part."""
    match = _PART.fullmatch(file)
    if match is None:
        return [file]
    count = int(match["count"])
    return [f"{match['stem']}-{i:05d}-of-{count:05d}.gguf" for i in range(1, count + 1)]


def _is_model(name: str) -> bool:
    part = _PART.fullmatch(name)
    is_first = part is None or int(part["index"]) == 1
    return name.lower().endswith(".gguf") and is_first and not _BESIDE.search(name)


def _has_quant(name: str, quant: str) -> bool:
    """Tell whether a path carries the quantisation as a word: Q4_0 is not in IQ4_0 or Q4_0_4_4."""
    return re.search(rf"(?<![A-Z0-9]){re.escape(quant)}[.\-/]", name, re.IGNORECASE) is not None


def _list_files(model: HubModel) -> _Listing:
    from huggingface_hub import HfApi  # noqa: PLC0415 - 0.5 s, and most models are paths

    try:
        siblings = HfApi().model_info(model.repo, timeout=10).siblings or []
    except Exception as error:
        if _is_refusal(error):
            raise _failed(model, error) from error
        return _Listing(files=_cached(model), unreachable=error)
    return _Listing(files=[item.rfilename for item in siblings])


def _cached(model: HubModel) -> list[str]:
    """List the .gguf files that the cache holds of the repository's main branch."""
    from huggingface_hub import constants, scan_cache_dir  # noqa: PLC0415 - as above
    from huggingface_hub.errors import CacheNotFound  # noqa: PLC0415

    try:
        repos = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    return [
        file.file_path.relative_to(revision.snapshot_path).as_posix()
        for repo in repos
        if repo.repo_type == "model" and repo.repo_id == model.repo
        for revision in repo.revisions
        if "main" in revision.refs
        for file in revision.files
        if file.file_name.lower().endswith(".gguf")
    ]


def _download(model: HubModel, file: str, *, is_offline: bool) -> Path:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - as above

    try:
        return Path(hf_hub_download(model.repo, file, local_files_only=is_offline))
    except Exception as error:
        raise _failed(model, error) from error


def _is_refusal(error: Exception) -> bool:
    """Tell whether the hub said no, as opposed to being away, failing, or asking us to wait."""
    response = getattr(error, "response", None)
    if response is None:
        return isinstance(error, ValueError)
    status = int(response.status_code)
    return status < _SERVER_ERRORS and status != _TOO_MANY_REQUESTS


def _failed(model: HubModel, error: Exception) -> ModelNotFound:
    """Turn whatever the hub's client raised into an error that says what to do.

    The client lets its transport's exceptions through, and the transport differs between its
    major versions, so callers catch broadly and chain.
    """
    from huggingface_hub import errors  # noqa: PLC0415 - as above

    page = f"https://huggingface.co/{model.repo}"
    if isinstance(error, errors.GatedRepoError):
        reason, remedy = "the repository is gated.", f"Accept its terms at {page}, set HF_TOKEN."
    elif isinstance(error, errors.RepositoryNotFoundError):
        reason = "the hub has no such repository, or it is private."
        remedy = "Check the name; for a private repository set HF_TOKEN."
    elif isinstance(error, errors.HFValidationError):
        reason, remedy = f"not a repository name: {error}.", "Write hf:org/repo[:file]."
    elif _is_refusal(error):
        reason, remedy = f"the hub refused: {_first(error)}.", "Try again, or name a path."
    else:
        reason = f"the hub cannot be reached and the file is not in its cache ({_first(error)})."
        remedy = "Check the network (HF_ENDPOINT, HF_HUB_OFFLINE), or name a path."
    return ModelNotFound(str(model), reason, remedy)


def _first(error: Exception) -> str:
    """Return the first line of an error's text, or its class where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


def _list(files: Sequence[str]) -> str:
    names = sorted(name for name in files if name.lower().endswith(".gguf"))
    if not names:
        return "Name a repository with .gguf files; many carry GGUF in their name."
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return f"Its .gguf files: {', '.join(names[:_MAX_LISTED])}{more}."


@contextmanager
def _bars(*, shown: bool) -> Iterator[None]:
    """Show or hide the client's progress bars, and leave its setting as it was found."""
    from huggingface_hub.utils.tqdm import (  # noqa: PLC0415 - as above
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
