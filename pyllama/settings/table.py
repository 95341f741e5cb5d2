"""llama.cpp's option table, and which of its options pyllama honours.

The table itself comes from llama-common, so that names, environment variables and help are
llama-server's. An option that is not in ``HONOURED`` is refused by name: accepting it would promise
something that pyllama does not do.
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from typing import Any

from pyllama._ext.options import option_table
from pyllama.errors import UnknownOption

# By the first long spelling. Grouped as llama-server's own help is.
HONOURED = frozenset(
    f"--{name}"
    for group in (
        "model hf-repo hf-file alias cache-ram",
        "mmproj mmproj-offload mmproj-device image-min-tokens image-max-tokens",
        "ctx-size parallel batch-size ubatch-size cont-batching threads threads-batch flash-attn",
        "poll poll-batch",
        "cache-type-k cache-type-v kv-unified swa-full kv-offload warmup repack no-host op-offload",
        "rope-scaling rope-scale rope-freq-base rope-freq-scale",
        "yarn-orig-ctx yarn-ext-factor yarn-attn-factor yarn-beta-slow yarn-beta-fast",
        "load-mode lazy-mode device override-tensor cpu-moe n-cpu-moe n-cpu-ffn gpu-layers",
        "split-mode tensor-split main-gpu fit fit-target fit-ctx check-tensors override-kv",
        "predict seed ignore-eos temp top-k top-p min-p top-nsigma xtc-probability xtc-threshold",
        "typical repeat-last-n repeat-penalty presence-penalty frequency-penalty",
        "dry-multiplier dry-base dry-allowed-length dry-penalty-last-n",
        "dynatemp-range dynatemp-exp mirostat mirostat-lr mirostat-ent",
        "adaptive-target adaptive-decay samplers sampler-seq dry-sequence-breaker logit-bias",
        "spec-type spec-ngram-simple-size-n spec-ngram-simple-size-m spec-ngram-map-k-size-n",
        "spec-ngram-map-k-size-m spec-ngram-map-k4v-size-n spec-ngram-map-k4v-size-m",
        "spec-ngram-map-k4v-min-hits spec-ngram-mod-n-match spec-ngram-mod-n-min",
        "spec-ngram-mod-n-max",
        "host port metrics cache-prompt cors-origins",
        "embedding pooling embd-normalize",
        "jinja chat-template chat-template-file chat-template-kwargs",
        "reasoning reasoning-format reasoning-effort reasoning-preserve",
        "reasoning-budget reasoning-budget-message",
    )
    for name in group.split()
)

# Spellings of honoured options that ask for what pyllama cannot do.
_REFUSED = {
    "--spec-ngram-simple-min-hits": "llama.cpp drafts at the first hit, whatever it says",
    "--spec-ngram-map-k-min-hits": "llama.cpp drafts at the first hit, whatever it says",
    "--no-cont-batching": "pyllama always batches continuously",
    "-nocb": "pyllama always batches continuously",
}

# What other bindings call the same thing.
_ALIASES = {
    "n_ctx": "ctx_size",
    "n_parallel": "parallel",
    "n_batch": "batch_size",
    "n_ubatch": "ubatch_size",
    "n_threads": "threads",
    "n_threads_batch": "threads_batch",
    "model_path": "model",
    "verbose": "log_prompts",
    "num_ctx": "ctx_size",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row of llama.cpp's option table."""

    args: tuple[str, ...]
    args_neg: tuple[str, ...]
    env: str | None
    kind: str
    """How many values it takes: ``flag`` and ``bool`` none, ``pair`` two, the others one."""
    hint: str | None
    help: str

    @property
    def name(self) -> str:
        """The first long spelling, by which pyllama speaks of it."""
        return next((arg for arg in self.args if arg.startswith("--")), self.args[0])

    @property
    def is_deprecated(self) -> bool:
        """Whether llama.cpp says so in its help."""
        return "deprecated" in self.help.lower() or "has been removed" in self.help.lower()

    @property
    def n_values(self) -> int:
        """Values that it takes on a command line."""
        return {"flag": 0, "bool": 0, "pair": 2}.get(self.kind, 1)


class OptionTable:
    """Lookup by every spelling."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.options = tuple(
            Option(
                args=tuple(row["args"]),
                args_neg=tuple(row["args_neg"]),
                env=row["env"],
                kind=row["kind"],
                hint=row["hint"],
                help=row["help"],
            )
            for row in rows
        )
        self._by_arg = {
            arg: option for option in self.options for arg in option.args + option.args_neg
        }
        self.honoured = tuple(option for option in self.options if option.name in HONOURED)

    def by_argument(self, arg: str) -> Option:
        """Return the option of a command line spelling; underscores may stand for hyphens.

        Raises:
            UnknownOption: it does not exist, is deprecated, or is not honoured here.
        """
        spelling = arg.replace("_", "-") if arg.startswith("--") else arg
        option = self._by_arg.get(spelling)
        if option is None:
            near = difflib.get_close_matches(spelling, self._spellings(), 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else "; see pyllama serve --help"
            raise UnknownOption(f"unknown option {arg}{hint}")
        self._check(option, spelling, spelling)
        return option

    def canonical(self, arg: str) -> str:
        """Return one spelling for all that mean the same; what is not in the table as it is."""
        option = self._by_arg.get(arg)
        if option is None:
            return arg
        return option.name if arg in option.args else f"no {option.name}"

    def name(self, arg: str) -> str:
        """Return the name of a spelling's option, negations included."""
        option = self._by_arg.get(arg)
        return arg if option is None else option.name

    def by_keyword(self, keyword: str, others: tuple[str, ...]) -> Option:
        """Return the option of a keyword argument, a long spelling with underscores.

        Args:
            keyword: the keyword.
            others: keywords that exist beside the table, for the hint.

        Raises:
            UnknownOption: it does not exist, is deprecated, or is not honoured here.
        """
        arg = "--" + keyword.replace("_", "-")
        option = self._by_arg.get(arg)
        if option is None:
            known = (*(_keyword(option) for option in self.honoured), *others)
            near = _ALIASES.get(keyword) or next(
                iter(difflib.get_close_matches(keyword, known, 1, 0.5)), None
            )
            hint = f"; did you mean {near!r}?" if near else ""
            raise UnknownOption(f"unknown option {keyword!r}{hint}")
        self._check(option, arg, keyword)
        return option

    def _check(self, option: Option, arg: str, spelling: str) -> None:
        """Refuse an option by its argument, speaking of it as it was spelled."""
        if arg in _REFUSED:
            raise UnknownOption(f"{spelling} cannot be honoured: {_REFUSED[arg]}")
        if option.name in HONOURED:
            return
        near = difflib.get_close_matches(option.name, sorted(HONOURED), 1, 0.6)
        if option.is_deprecated:
            what = f"{spelling} is deprecated in llama.cpp and does nothing"
        else:
            what = f"{spelling} is an option of llama-server that pyllama does not have yet"
        raise UnknownOption(what + (f"; the nearest that it has is {near[0]}" if near else ""))

    def _spellings(self) -> list[str]:
        return [arg for option in self.honoured for arg in option.args + option.args_neg]


def _keyword(option: Option) -> str:
    return option.name.removeprefix("--").replace("-", "_")


@functools.cache
def table() -> OptionTable:
    """Return llama.cpp's option table."""
    return OptionTable(option_table())
