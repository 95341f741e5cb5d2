"""Command lines that hold a command's own options and the flags of ``pyllama serve``, mixed."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyllama.errors import ConfigError, UnknownOption
from pyllama.settings.own import OWN

if TYPE_CHECKING:
    from pyllama.settings import Settings

_MODEL_FLAGS = {"-m", "--model"}


class CommandParser(argparse.ArgumentParser):
    """Parses a command's own options, and leaves the flags of ``pyllama serve`` to the settings.

    argparse alone cannot: of a flag that it does not know, it takes the value for a positional.
    """

    def __init__(self, **options: Any) -> None:
        # Before the parser adds its own --help.
        self._n_values: dict[str, int] = {}
        super().__init__(allow_abbrev=False, **options)

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """Add an option or a positional as argparse does, and remember how it is spelled."""
        action = super().add_argument(*names, **options)
        n_values = 1 if action.nargs is None else 0
        self._n_values.update(dict.fromkeys(action.option_strings, n_values))
        return action

    def divide(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Parse a command line; return the command's own part, and the flags of ``serve``.

        Raises:
            UnknownOption: an option is neither; names the nearest that exists.
            ConfigError: a flag lacks its value.
        """
        # Imported here so that --help works where the extension is not built.
        from pyllama.settings import n_values  # noqa: PLC0415

        own: list[str] = []
        flags: list[str] = []
        rest = iter(arguments)
        for word in rest:
            name = word.partition("=")[0]
            if name in self._n_values:
                values = _values(rest, 0 if "=" in word else self._n_values[name])
                # In one word: argparse takes no value that begins with a hyphen.
                own.append("=".join([word, *values]))
            elif word == "-" or not word.startswith("-"):
                own.append(word)
            else:
                self._check_spelling(name)
                flags.append(word)
                flags += _values(rest, 0 if "=" in word else n_values(name))
        return self.parse_args(own), flags

    def _check_spelling(self, name: str) -> None:
        known = [*self._n_values, *(own.arg for own in OWN.values())]
        near = difflib.get_close_matches(name, known, 1, 0.8)
        if near:
            # llama.cpp's table would name the nearest flag of its own, which is farther away.
            from pyllama.settings import is_flag  # noqa: PLC0415  (as above)

            if not is_flag(name):
                raise UnknownOption(f"unknown option {name}; did you mean {near[0]}?")


def _values(rest: Iterator[str], n_values: int) -> list[str]:
    # The range first: of two iterators, zip takes one item too many from the first.
    return [value for _, value in zip(range(n_values), rest, strict=False)]


def read_settings(
    ref: str | None, flags: Sequence[str], environ: Mapping[str, str], **beneath: str
) -> Settings:
    """Return the settings of a command.

    Args:
        ref: the model; None leaves it to the flags and the environment.
        flags: those of ``pyllama serve``.
        environ: the process's environment.
        **beneath: variables that hold where neither flags nor the environment say otherwise.

    Raises:
        ConfigError: a value cannot be honoured, or the model is named twice.
    """
    from pyllama import settings  # noqa: PLC0415  (needs the extension)

    named = [flag for flag in flags if flag.partition("=")[0] in _MODEL_FLAGS]
    if ref is not None and named:
        raise ConfigError(f"REF and {named[0]} both name a model; give one of them")
    model = [] if ref is None else ["--model", ref]
    return settings.from_arguments([*flags, *model], {**beneath, **environ})
