"""What a model's card recommends, and where it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllama.errors import InvalidRequest
from pyllama.hub import default_model
from pyllama.params import GenerationParams
from pyllama.recommendation import Recommendation, recommendation_for

CARD = Recommendation(system_prompt="Be kind.", params={"temperature": 0.2, "top_p": 0.9})
USER = {"role": "user", "content": "Hi"}


def test_the_default_model_has_a_card_wherever_it_lies(tmp_path: Path) -> None:
    """Name and size tell it: it is sampled as its makers say, and its answers have an end."""
    path = tmp_path / default_model.DEFAULT.file_name
    with path.open("wb") as file:
        file.truncate(default_model.DEFAULT.size_bytes)
    found = recommendation_for(path)
    assert found.system_prompt
    params = found.over(GenerationParams())
    assert (params.sampling.temperature, params.sampling.top_p) == (0.2, 0.9)
    assert 0 < params.max_tokens < 2048


@pytest.mark.parametrize("name", ["own.gguf", default_model.DEFAULT.file_name, "missing.gguf"])
def test_of_other_models_nothing_is_known(name: str, tmp_path: Path) -> None:
    """A model of one's own is asked as it is; so is another file of that name."""
    if name != "missing.gguf":
        (tmp_path / name).write_bytes(b"GGUF")
    found = recommendation_for(tmp_path / name)
    assert found == Recommendation()
    assert found.over(GenerationParams()) == GenerationParams()


def test_what_somebody_decided_stays() -> None:
    """A parameter that was given is none of the card's any more; the others are."""
    left = CARD.without({"temperature", "seed"})
    params = left.over(GenerationParams().with_options(temperature=0.0))
    assert (params.sampling.temperature, params.sampling.top_p) == (0.0, 0.9)
    assert left.system_prompt == CARD.system_prompt


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "s"}, USER],
        [{"role": "developer", "content": "s"}, USER],
        [{"role": "system", "content": ""}, USER],
        [],
        "Hi",
        None,
    ],
)
def test_a_chat_with_a_system_message_is_left_alone(messages: object) -> None:
    """So is what is no chat: that is refused elsewhere, as it is."""
    with CARD.led(messages) as led:  # type: ignore[arg-type]
        assert led is messages


def test_a_chat_without_one_gets_the_cards() -> None:
    """It stands first; a model without a card adds nothing."""
    with CARD.led([USER]) as led:
        assert led == [{"role": "system", "content": "Be kind."}, USER]
    with Recommendation().led([USER]) as led:
        assert led == [USER]


def test_a_refusal_names_the_callers_message() -> None:
    """The added message is none of the caller's, and counts in no path."""
    with (
        pytest.raises(InvalidRequest, match=r"messages\[0\]\.role is wrong") as caught,
        CARD.led([USER]),
    ):
        raise InvalidRequest("messages[1].role is wrong", param="messages[1].role")
    assert caught.value.param == "messages[0].role"
