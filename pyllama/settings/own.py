"""The options that llama-server lacks: each a flag, a keyword and a PYLLAMA_ variable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyllama.errors import ConfigError


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in {"1", "true", "on", "yes"}:
        return True
    if word in {"0", "false", "off", "no", ""}:
        return False
    raise ValueError(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOption:
    """One option of pyllama's own."""

    name: str
    """Keyword, and field of Settings or of GenerationParams."""
    convert: Callable[[str], Any]
    help: str

    @property
    def arg(self) -> str:
        """Command line spelling."""
        return "--" + self.name.replace("_", "-")

    @property
    def negation(self) -> str | None:
        """Command line spelling that turns a switch off, and takes no value."""
        return "--no-" + self.arg[2:] if self.convert is _boolean else None

    @property
    def env(self) -> str:
        """Environment variable."""
        return "PYLLAMA_" + self.name.upper()

    def read(self, text: str, source: str) -> Any:
        """Turn text into the value. Raises ConfigError naming the source."""
        try:
            return self.convert(text)
        except ValueError:
            wanted = {int: "an integer", float: "a number"}.get(self.convert, "on or off")  # type: ignore[call-overload]
            raise ConfigError(f"{source} must be {wanted}, not {text!r}") from None


OWN = {
    option.name: option
    for option in (
        OwnOption(
            name="max_tokens",
            convert=int,
            help="tokens that a request generates unless it says otherwise (default: 200; -1: to "
            "the end of the context)",
        ),
        OwnOption(
            name="max_queue",
            convert=int,
            help="requests that may wait for a slot; beyond it 429 (default: 64)",
        ),
        OwnOption(
            name="step_ms",
            convert=int,
            help="target duration of a step with running streams: smaller gaps in them, slower "
            "prompts beside them (default: 400)",
        ),
        OwnOption(
            name="prepare_s",
            convert=float,
            help="seconds that a server takes at most to make a prompt of a request; beyond it 413 "
            "(default: 60)",
        ),
        OwnOption(
            name="drain_s",
            convert=float,
            help="seconds that running answers get on shutdown (default: 30)",
        ),
        OwnOption(
            name="max_connections",
            convert=int,
            help="connections that are open, as far as the process may open files; beyond it the "
            "one goes that waited longest for a request (default: 2000)",
        ),
        OwnOption(
            name="max_unfinished",
            convert=int,
            help="connections of one client address whose request is not whole; beyond it the "
            "oldest of them goes (default: 0, an eighth of --max-connections)",
        ),
        OwnOption(
            name="read_timeout_s",
            convert=float,
            help="seconds for the head of a request, and for its body beside 8 KiB/s of it; then "
            "408 (default: 20)",
        ),
        OwnOption(
            name="log_prompts",
            convert=_boolean,
            help="on: the text of each prompt appears in the log (default: off)",
        ),
        OwnOption(
            name="media_urls",
            convert=_boolean,
            help="on: pictures, sound and video that a request names by an http: or https: address "
            "are fetched from the public internet (default: off)",
        ),
        OwnOption(
            name="kernels",
            convert=_boolean,
            help="off: compute on llama.cpp's kernels alone, also where pyllama has faster ones "
            "for the processor (default: on)",
        ),
        OwnOption(
            name="tuned",
            convert=_boolean,
            help="on: use what `pyllama tune` measured for this model and machine, beneath every "
            "option that is given (default: on)",
        ),
    )
}
