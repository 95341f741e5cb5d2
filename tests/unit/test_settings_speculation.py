"""Settings of speculative decoding: the n-gram kinds are taken, the others refused by name."""

from __future__ import annotations

import pytest

from pyllama import settings
from pyllama.errors import ConfigError, UnknownOption


def test_it_is_off_by_default() -> None:
    """Without an option nothing is guessed."""
    made = settings.from_arguments((), {})
    assert not any(option[0].startswith("--spec") for option in made.options)


@pytest.mark.parametrize(
    "kinds",
    ["ngram-simple", "ngram-map-k", "ngram-map-k4v", "ngram-mod", "ngram-cache", "none"],
)
def test_ngram_kinds_are_taken(kinds: str) -> None:
    """Each kind from the command line, a keyword and the environment is the same option."""
    wanted = ("--spec-type", kinds)
    for made in (
        settings.from_arguments(("--spec-type", kinds), {}),
        settings.from_arguments((), {"LLAMA_ARG_SPEC_TYPE": kinds}),
        settings.from_keywords("m.gguf", {"spec_type": kinds}),
    ):
        assert wanted in made.options


def test_several_kinds_add_up() -> None:
    """The option may be given once for each kind, as with llama-server."""
    argv = ("--spec-type", "ngram-simple", "--spec-type", "ngram-cache")
    made = settings.from_arguments(argv, {})
    kinds = [option[1] for option in made.options if option[0] == "--spec-type"]
    assert kinds == ["ngram-simple", "ngram-cache"]


@pytest.mark.parametrize(
    "kind", ["draft-simple", "draft-eagle3", "draft-mtp", "draft-dflash", "draft-dspark"]
)
def test_kinds_with_a_draft_model_are_refused(kind: str) -> None:
    """The message names the kind and those that there are."""
    with pytest.raises(ConfigError, match=f"{kind} needs a draft model.*ngram-simple"):
        settings.from_arguments(("--spec-type", f"ngram-mod,{kind}"), {})


def test_an_unknown_kind_is_refused() -> None:
    """llama.cpp's own handler knows the names."""
    with pytest.raises(ConfigError, match="unknown speculative type: ngram"):
        settings.from_arguments(("--spec-type", "ngram"), {})


@pytest.mark.parametrize("value", ["0", "1025", "many"])
def test_sizes_are_checked(value: str) -> None:
    """An n-gram has 1 to 1024 tokens."""
    with pytest.raises(ConfigError, match="spec-ngram-simple-size-n"):
        settings.from_arguments(("--spec-ngram-simple-size-n", value), {})


@pytest.mark.parametrize("kind", ["simple", "map-k"])
def test_an_option_without_effect_is_refused(kind: str) -> None:
    """llama.cpp takes a minimum of hits for these kinds and never looks at it."""
    with pytest.raises(UnknownOption, match="drafts at the first hit"):
        settings.from_arguments((f"--spec-ngram-{kind}-min-hits", "2"), {})


@pytest.mark.parametrize("option", ["--spec-draft-n-max", "--spec-draft-model", "--spec-synth-len"])
def test_options_of_draft_models_are_refused(option: str) -> None:
    """They say nothing of lookups, so accepting them would promise too much."""
    with pytest.raises(UnknownOption, match="does not have yet"):
        settings.from_arguments((option, "4"), {})
