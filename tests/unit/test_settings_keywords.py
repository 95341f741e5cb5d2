"""Settings from keyword arguments, as ``Llama(...)`` takes them."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama import settings
from pyllama.errors import ConfigError
from pyllama.params import GenerationParams
from pyllama.settings import Settings


def keywords(**options: Any) -> Settings:
    return settings.from_keywords("m.gguf", options)


def test_keywords_are_long_names() -> None:
    """llama-server's long names with underscores, values as Python has them."""
    made = keywords(
        ctx_size=512,
        parallel=2,
        flash_attn=True,
        kv_unified=True,
        kv_offload=False,
        swa_full=True,
        cpu_moe=False,
        alias=None,
        temperature=0.5,
        stop=["x"],
        max_tokens=7,
        log_prompts=True,
    )
    assert {("--ctx-size", "512"), ("--flash-attn", "on"), ("--kv-unified",)} <= set(made.options)
    assert {("--no-kv-offload",), ("--swa-full",)} <= set(made.options)
    assert not any("moe" in option[0] for option in made.options)
    assert (made.model, made.parallel, made.log_prompts) == ("m.gguf", 2, True)
    assert made.generation == GenerationParams().with_options(
        temperature=0.5, stop=["x"], max_tokens=7
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("n_ctx", "ctx_size"),
        ("n_threads", "threads"),
        ("ctx_sise", "ctx_size"),
        ("temperatur", "temperature"),
        ("max_queu", "max_queue"),
    ],
)
def test_an_unknown_keyword_is_a_type_error(name: str, nearest: str) -> None:
    """A keyword that does not exist names the nearest, other bindings' words included."""
    with pytest.raises(TypeError, match=f"unknown option '{name}'; did you mean '{nearest}'"):
        keywords(**{name: 1})


def test_a_keyword_like_no_other_is_a_type_error() -> None:
    """Where nothing is near there is no hint."""
    with pytest.raises(TypeError, match=r"unknown option 'qqqqqq'$"):
        keywords(qqqqqq=1)


@pytest.mark.parametrize("name", ["mmproj_url", "api_key", "reranking", "no_cont_batching"])
def test_a_keyword_that_pyllama_lacks_is_a_type_error(name: str) -> None:
    """Options of llama-server that are not honoured are refused by name."""
    with pytest.raises(TypeError, match=name):
        keywords(**{name: True})


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"no_kv_offload": True}, "--no-kv-offload"),
        ({"no_kv_offload": False}, "--kv-offload"),
        ({"kv_offload": False}, "--no-kv-offload"),
        ({"no_kv_unified": True}, "--no-kv-unified"),
    ],
)
def test_a_negated_keyword_negates(options: dict[str, Any], option: str) -> None:
    """``no_x=True`` is ``--no-x``, never its contrary."""
    assert (option,) in keywords(**options).options


def test_continuous_batching_cannot_be_left() -> None:
    """The keyword may say what is so, and not the contrary."""
    keywords(cont_batching=True)
    with pytest.raises(TypeError, match="always batches"):
        keywords(cont_batching=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ctx_size": "many"}, "many"),
        ({"swa_full": "on"}, "swa_full must be True or False"),
        ({"max_queue": 1.5}, "max_queue must be an integer"),
        ({"temperature": "hot"}, "temperature must be of type float"),
        ({"top_p": 7.0}, "top_p must be within"),
        ({"parallel": 0.5}, "0.5"),
    ],
)
def test_keywords_of_a_wrong_type_are_errors(options: dict[str, Any], message: str) -> None:
    """A value that cannot be honoured is ConfigError, a ValueError."""
    with pytest.raises(ConfigError, match=message) as caught:
        keywords(**options)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("options", "wanted"), [({}, None), ({"cache_ram": 0}, 0), ({"cache_ram": -1}, -1)]
)
def test_the_ram_of_the_prefix_cache_is_chosen_or_left_open(
    options: dict[str, int], wanted: int | None
) -> None:
    """``cache_ram`` has llama-server's meaning; unset it is left to the machine's memory."""
    made = keywords(**options)
    assert made.cache_ram == wanted
    assert Settings.from_json(made.to_json()) == made


def test_a_negative_cache_is_refused() -> None:
    """Less than no limit means nothing."""
    with pytest.raises(ConfigError, match="cache_ram must be within -1"):
        keywords(cache_ram=-2)
