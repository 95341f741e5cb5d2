"""What was measured ranks beneath what the operator says, and above the defaults."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama import settings
from pyllama.errors import ConfigError
from pyllama.settings import Settings
from pyllama.settings.tuned import beneath, placement
from pyllama.tune.store import Tuned

FOUND = (
    ("--flash-attn", "off"),
    ("--threads", "3"),
    ("--threads-batch", "4"),
    ("--ubatch-size", "256"),
    ("--kv-unified",),
)


def read(*argv: str, **environ: str) -> Settings:
    return settings.from_arguments(argv, environ)


def used(made: Settings, options: Any = FOUND, **changes: int) -> set[str]:
    tuned = Tuned(options=options, **{"n_slots": 4, "n_ctx_slot": 4096, **changes})
    result = beneath(made, tuned)
    n_tuned = len(result.options) - len(made.options)
    assert result.options[n_tuned:] == made.options
    return {option[0] for option in result.options[:n_tuned]}


def test_all_is_used_where_nothing_is_said() -> None:
    """Without options of the operator every tuned one holds, and the layout is a pool."""
    assert used(read()) == {option[0] for option in FOUND}
    made = beneath(read(), Tuned(options=FOUND, n_slots=4, n_ctx_slot=4096))
    assert made.kv_unified


@pytest.mark.parametrize(
    ("argv", "dropped"),
    [
        (("-fa", "on"), {"--flash-attn"}),
        (("--flash-attn=auto",), {"--flash-attn"}),
        (("-t", "1"), {"--threads", "--threads-batch"}),
        (("-tb", "1"), {"--threads-batch"}),
        (("-ub", "512"), {"--ubatch-size"}),
        (("--no-kv-unified",), {"--kv-unified"}),
        # V is quantised with flash attention only.
        (("-ctv", "q8_0"), {"--flash-attn"}),
        (("-ctk", "q8_0"), set()),
    ],
)
def test_a_flag_wins(argv: tuple[str, ...], dropped: set[str]) -> None:
    """An option that is given in any spelling is not tuned, nor is what follows from it."""
    assert used(read(*argv)) == {option[0] for option in FOUND} - dropped


def test_the_environment_and_keywords_win_too() -> None:
    """A variable and a keyword count as much as a flag."""
    assert "--threads" not in used(read(LLAMA_ARG_THREADS="1"))
    assert "--flash-attn" not in used(settings.from_keywords("m", {"flash_attn": "on"}))


def test_a_layout_holds_for_its_slots() -> None:
    """With another number of slots the measured layout says nothing."""
    assert "--kv-unified" not in used(read("-np", "8"))
    assert "--kv-unified" in used(read("-np", "8"), n_slots=8)


@pytest.mark.parametrize(
    ("argv", "is_used"),
    [
        (("-c", "16384"), True),
        (("-c", "32768", "-np", "8"), True),
        (("-c", "32768"), False),
        (("-c", "16384", "--kv-unified"), False),
        (("-c", "0"), False),
    ],
)
def test_buffers_hold_up_to_the_measured_context(argv: tuple[str, ...], *, is_used: bool) -> None:
    """Beyond the measured context of a slot, what makes buffers larger is left to llama.cpp."""
    found = used(read(*argv))
    assert ("--flash-attn" in found, "--ubatch-size" in found) == (is_used, is_used)
    assert "--threads" in found


def test_quantised_values_need_flash_attention() -> None:
    """Where the operator turns flash attention off, tuned V stays as it is."""
    options = (("--flash-attn", "on"), ("--cache-type-k", "q8_0"), ("--cache-type-v", "q8_0"))
    assert used(read("-fa", "off"), options) == {"--cache-type-k"}


def test_a_placement_has_one_spelling() -> None:
    """Flags that say the same in other words or another order are the same placement."""
    assert placement(read("-ngl", "3", "-nkvo")) == placement(
        read("--no-kv-offload", "--gpu-layers", "3", "-t", "1")
    )
    assert placement(read("-nkvo")) != placement(read()) == () != placement(read("--no-kernels"))


@pytest.mark.parametrize(
    ("made", "is_tuned"),
    [
        (read, True),
        (lambda: read("--no-tuned"), False),
        (lambda: read("--tuned", "off"), False),
        (lambda: read(PYLLAMA_TUNED="0"), False),
        (lambda: read("--tuned", "on", PYLLAMA_TUNED="0"), True),
        (lambda: settings.from_keywords("m", {"tuned": False}), False),
    ],
)
def test_tuning_can_be_turned_off(made: Any, *, is_tuned: bool) -> None:
    """A flag, a variable and a keyword say whether tuned settings are used."""
    assert made().tuned is is_tuned
    assert Settings.from_json(made().to_json()).tuned is is_tuned


def test_a_denied_switch_takes_no_value() -> None:
    """`--no-tuned=on` is refused instead of guessed at; a number has no negation."""
    for argument in ("--no-tuned=on", "--no-step-ms"):
        with pytest.raises(ConfigError):
            read(argument)
    assert "--no-tuned" in settings.help_text()
