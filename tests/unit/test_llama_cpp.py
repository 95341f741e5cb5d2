"""llama-cpp-python's constructor: what its arguments become."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama import llama_cpp


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options that the engine is made with; on a machine with a GPU."""
    options: dict[str, Any] = {}
    monkeypatch.setattr(llama_cpp, "Engine", lambda _model, **given: options.update(given))
    monkeypatch.setattr(llama_cpp, "can_offload", lambda: True)
    return options


@pytest.mark.parametrize(
    ("given", "n_layers"),
    [({}, 0), ({"n_gpu_layers": 0}, 0), ({"n_gpu_layers": 7}, 7), ({"n_gpu_layers": -1}, "all")],
)
def test_layers_on_the_gpu_are_counted_as_theirs(
    wanted: dict[str, Any], given: dict[str, Any], n_layers: int | str
) -> None:
    """None unless some are asked for, where pyllama itself would put there what fits."""
    llama_cpp.Llama("m.gguf", **given)
    assert wanted["gpu_layers"] == n_layers


def test_nothing_is_said_of_a_gpu_that_is_not_there(
    wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp would warn of an option without effect, in every program."""
    monkeypatch.setattr(llama_cpp, "can_offload", lambda: False)
    llama_cpp.Llama("m.gguf")
    assert "gpu_layers" not in wanted


def test_pyllamas_own_options_win_over_their_defaults(wanted: dict[str, Any]) -> None:
    """An option that is given is not replaced by an argument that is not."""
    llama_cpp.Llama("m.gguf", gpu_layers=3, ctx_size=1024)
    assert (wanted["gpu_layers"], wanted["ctx_size"]) == (3, 1024)
