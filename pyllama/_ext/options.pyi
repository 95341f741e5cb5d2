"""llama.cpp's option table, and one set of option values. No thread is special here."""

from typing import Any

from typing_extensions import disjoint_base

def option_table() -> list[dict[str, Any]]:
    """Return the options that llama-server takes, a row each.

    Returns:
        Rows of ``args`` (spellings), ``args_neg`` (spellings that switch it off), ``env``
        (environment variable or None), ``kind`` (how many values it takes: ``flag`` and ``bool``
        none, ``int`` and ``string`` one, ``pair`` two), ``hint`` (what stands for its value in the
        help, or None), ``help`` and ``is_sampling``.

    Source: ``common_params_parser_init`` (common/arg.h).
    """

@disjoint_base
class Options:
    """Option values, from llama.cpp's defaults on.

    Source: ``common_params`` (common/common.h).
    """

    def __new__(cls) -> Options: ...
    def set(self, arg: str, value: str | None = None, value2: str | None = None) -> None:
        """Apply one option by any of its spellings.

        Args:
            arg: the spelling, with its hyphens.
            value: its value, where it takes one; integers as text.
            value2: its second value, where it takes two.

        Raises:
            ConfigError: there is no such option, it is for programs (it prints, exits or changes
                the log of the process), or a value is missing, superfluous or refused.
            RuntimeError: :meth:`finish` was called.
        """

    def finish(self) -> None:
        """Resolve the defaults that depend on each other; every call after the first does nothing.

        Raises:
            ConfigError: the values contradict each other.
        """

    def cancel(self) -> None:
        """Let a load, or the making of a context, that uses these options fail soon.

        Source: ``llama_model_params.progress_callback``, ``llama_set_abort_callback``.
        """

    def values(self) -> dict[str, Any]:
        """Return the values that pyllama reads back, the sampling ones under ``sampling``."""

    @property
    def n_draft(self) -> int:
        """Most tokens that speculative decoding guesses ahead; 0 where it is off.

        Source: ``common_speculative_n_max`` (common/speculative.h).
        """
