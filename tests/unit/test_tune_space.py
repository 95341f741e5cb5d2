"""What is tried follows from the machine, the slots and what the operator left open."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama.tune.space import DECODE_ALL, Factor, Facts, options_of, space

FACTS = Facts(given=(), n_threads=8, n_cpus=16, n_slots=4, depth=512)


def factors(**changes: Any) -> dict[str, Factor]:
    values = {name: getattr(FACTS, name) for name in FACTS.__dataclass_fields__}
    return {factor.name: factor for factor in space(Facts(**{**values, **changes}))}


def labels(factor: Factor) -> list[str]:
    return [choice.label for choice in factor.choices]


def test_everything_that_is_open_is_tried() -> None:
    """Each factor begins with the default, which needs no option."""
    found = factors()
    assert {name: labels(factor) for name, factor in found.items()} == {
        "flash attention": ["auto", "off"],
        "threads": ["8", "16", "6", "4"],
        "threads, batch": ["8", "16", "6", "4"],
        "ubatch": ["512", "256", "128"],
        "KV layout": ["streams", "pool"],
        "KV type": ["f16", "q8_0"],
    }
    assert all(factor.choices[0].options == () for factor in found.values())
    assert [name for name, factor in found.items() if factor.is_lossy] == ["KV type"]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("--flash-attn", {"flash attention", "KV type"}),
        ("--threads", {"threads", "threads, batch"}),
        ("--threads-batch", {"threads, batch"}),
        ("--ubatch-size", {"ubatch"}),
        ("--kv-unified", {"KV layout"}),
        ("--cache-type-v", {"KV type"}),
    ],
)
def test_what_is_given_is_not_tried(given: str, missing: set[str]) -> None:
    """An option that the operator named stays as it is, and so does what depends on it."""
    assert set(factors()) - set(factors(given={given})) == missing


def test_one_slot_is_a_pool_already() -> None:
    """With a single slot there is no layout to choose, and nothing runs beside it."""
    found = factors(n_slots=1)
    assert "KV layout" not in found
    assert all(DECODE_ALL not in factor.figures for factor in found.values())


def test_a_machine_with_one_cpu_has_no_threads_to_choose() -> None:
    """A factor without an alternative is left out."""
    assert not {"threads", "threads, batch"} & set(factors(n_threads=1, n_cpus=1))


@pytest.mark.parametrize(
    ("depth", "sizes"),
    [(64, []), (128, []), (256, ["128"]), (512, ["256", "128"]), (1024, ["256", "1024", "128"])],
)
def test_pieces_are_tried_that_divide_a_prompt(depth: int, sizes: list[str]) -> None:
    """A size that cuts the prompt as the default does is not measured."""
    found = factors(depth=depth)
    assert (labels(found["ubatch"])[1:] if "ubatch" in found else []) == sizes


def test_threads_keep_the_batch_as_it_was() -> None:
    """Batches would follow the threads, so they are named; their own choice comes later."""
    found = factors()
    candidate = {name: found[name].choices[-1] for name in ("threads", "threads, batch")}
    both = options_of(candidate, found.values())
    assert both == (("--threads", "4"), ("--threads-batch", "4"))
    one = options_of({"threads": candidate["threads"]}, found.values())
    assert one == (("--threads", "4"), ("--threads-batch", "8"))


def test_quantised_cells_bring_flash_attention_back() -> None:
    """llama.cpp quantises V only with it, so the last word is the KV type's."""
    found = factors()
    candidate = {name: found[name].choices[-1] for name in ("KV type", "flash attention")}
    assert {option[0]: option[1] for option in options_of(candidate, found.values())} == {
        "--flash-attn": "on",
        "--cache-type-k": "q8_0",
        "--cache-type-v": "q8_0",
    }
