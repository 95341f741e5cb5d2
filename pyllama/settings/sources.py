"""Where settings come from: a command line, the environment, keyword arguments."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from pyllama.errors import ConfigError, InvalidRequest, UnknownOption
from pyllama.params import SAMPLING_TYPES
from pyllama.settings.own import OWN
from pyllama.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ARGS_VARIABLE = "PYLLAMA_ARGS"
"""Carries a command line (a JSON list) to the server process."""

# Read elsewhere: by pyllama.hub, by from_environment().
_OTHER_VARIABLES = {"PYLLAMA_MODEL", "PYLLAMA_CACHE", ARGS_VARIABLE}
_GENERATION = ("max_tokens", "stop", "cache_prompt", *SAMPLING_TYPES)


def from_arguments(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Read a command line of llama-server's flags over the environment.

    Raises:
        UnknownOption: a flag or variable does not exist; names the nearest one.
        ConfigError: a value cannot be honoured.
    """
    from pyllama.settings.collect import Collector  # noqa: PLC0415  (needs the extension)

    collector = Collector()
    _check_variables(environ)
    collector.add_environment(environ)
    collector.add_arguments(argv)
    return collector.settings()


def from_keywords(model: str, keywords: Mapping[str, Any]) -> Settings:
    """Read keyword arguments; the environment plays no part. Raises as from_arguments()."""
    from pyllama.settings.collect import Collector  # noqa: PLC0415  (needs the extension)

    collector = Collector()
    generation: dict[str, Any] = {}
    for keyword, value in keywords.items():
        if keyword in _GENERATION:
            generation[keyword] = value
        else:
            collector.add_keyword(keyword, value, (*_GENERATION, *OWN))
    collector.own["model"] = model
    try:
        return collector.settings(generation)
    except InvalidRequest as error:
        raise ConfigError(str(error)) from error


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment, and the command line that ``PYLLAMA_ARGS`` carries.

    The reading happens in a process of its own: llama.cpp's option table wakes up the GPU driver,
    which must not happen in a server's master process before it forks. Raises as from_arguments().
    """
    variables = dict(os.environ if environ is None else environ)
    command = [sys.executable, "-m", "pyllama.settings"]
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)  # noqa: S603
    lines = run.stdout.splitlines()
    if run.returncode != 0 or not lines:
        reason = run.stderr.strip().splitlines()
        raise ConfigError(reason[-1] if reason else f"{command} ended with {run.returncode}")
    return Settings.from_json(lines[-1])


def command_line(environ: Mapping[str, str]) -> list[str]:
    """Return the command line that ``PYLLAMA_ARGS`` carries."""
    try:
        argv = json.loads(environ.get(ARGS_VARIABLE, "[]"))
    except json.JSONDecodeError:
        argv = None
    if not isinstance(argv, list) or not all(isinstance(arg, str) for arg in argv):
        raise ConfigError(f"{ARGS_VARIABLE} must be a JSON list of strings")
    return argv


def is_flag(arg: str) -> bool:
    """Tell whether a command line may hold this flag."""
    try:
        n_values(arg)
    except UnknownOption:
        return False
    return True


def n_values(arg: str) -> int:
    """Return how many values follow a flag on a command line.

    Raises:
        UnknownOption: it does not exist, or is not honoured; names the nearest one.
    """
    from pyllama.settings.table import table  # noqa: PLC0415  (needs the extension)

    spelling = arg.replace("_", "-") if arg.startswith("--") else arg
    for own in OWN.values():
        if spelling in {own.arg, own.negation}:
            return int(spelling == own.arg)
    return table().by_argument(arg).n_values


def help_text() -> str:
    """Return the help of every option that is honoured, llama.cpp's and pyllama's own."""
    from pyllama.settings.table import table  # noqa: PLC0415  (needs the extension)

    lines = ["pyllama's own options:", ""]
    for own in OWN.values():
        negation = f", {own.negation}" if own.negation else ""
        lines += [f"  {own.arg} VALUE{negation}", f"      {own.help}", f"      (env: {own.env})"]
    lines += ["", "llama-server's options:", ""]
    defaults = Settings()
    ours = {
        "--cors-origins": ",".join(defaults.cors_origins),
        "--parallel": defaults.parallel,
        "--port": defaults.port,
    }
    for option in table().honoured:
        spellings = ", ".join(option.args + option.args_neg)
        lines.append(f"  {spellings} {option.hint or ''}".rstrip())
        lines += [f"      {line}" for line in option.help.splitlines()]
        if option.name in ours:
            lines.append(f"      pyllama's default: {ours[option.name]}")
    return "\n".join(lines)


def _check_variables(environ: Mapping[str, str]) -> None:
    known = _OTHER_VARIABLES | {own.env for own in OWN.values()}
    for name in environ:
        if name.startswith("PYLLAMA_") and name not in known:
            near = difflib.get_close_matches(name, sorted(known), 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UnknownOption(f"unknown environment variable {name}{hint}")
