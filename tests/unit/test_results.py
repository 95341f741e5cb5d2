"""What comes back from a request."""

from __future__ import annotations

from pyllama.results import Completion, Timings, Usage


def test_timings_speak_llama_servers_names() -> None:
    """Rates follow from counts and durations; the first token is the prompt's, no interval."""
    timings = Timings(cache_n=3, prompt_n=10, prompt_ms=500.0, predicted_n=5, predicted_ms=200.0)
    assert timings.as_dict() == {
        "cache_n": 3,
        "prompt_n": 10,
        "prompt_ms": 500.0,
        "prompt_per_token_ms": 50.0,
        "prompt_per_second": 20.0,
        "predicted_n": 5,
        "predicted_ms": 200.0,
        "predicted_per_token_ms": 50.0,
        "predicted_per_second": 20.0,
    }


def test_timings_tell_of_drafts() -> None:
    """Where tokens were guessed, how many and how many of them rightly; elsewhere not a word."""
    timings = Timings(
        cache_n=0, prompt_n=1, prompt_ms=1.0, predicted_n=9, predicted_ms=1.0, draft_n=8
    )
    said = timings.as_dict()
    assert (said["draft_n"], said["draft_n_accepted"]) == (8, 0)


def test_an_empty_answer_has_finite_rates() -> None:
    """Nothing generated, or in no time at all, is a rate of 0, never a division by zero."""
    timings = Timings(cache_n=0, prompt_n=0, prompt_ms=0.0, predicted_n=0, predicted_ms=0.0)
    assert set(timings.as_dict().values()) == {0}
    one = Timings(cache_n=0, prompt_n=1, prompt_ms=0.0, predicted_n=1, predicted_ms=0.0)
    assert one.as_dict()["predicted_per_second"] == 0.0


def test_a_completion_prints_as_its_text() -> None:
    """``print(llm.chat(...))`` shows the answer."""
    completion = Completion(
        text="Hi!",
        finish_reason="stop",
        usage=Usage(prompt_tokens=1, completion_tokens=1, cached_tokens=0),
        timings=Timings(cache_n=0, prompt_n=1, prompt_ms=1.0, predicted_n=1, predicted_ms=0.0),
    )
    assert str(completion) == "Hi!"
