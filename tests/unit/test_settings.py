"""Settings: what an option means, from whichever source it comes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import pytest

from pyllama import settings
from pyllama.errors import ConfigError, UnknownOption
from pyllama.params import SAMPLING_TYPES, GenerationParams
from pyllama.settings import Settings
from pyllama.settings.collect import _SAMPLING_OPTIONS
from pyllama.settings.own import OWN
from pyllama.settings.table import HONOURED, table


def read(*argv: str, **environ: str) -> Settings:
    return settings.from_arguments(argv, environ)


def keywords(**options: Any) -> Settings:
    return settings.from_keywords("m.gguf", options)


def test_without_options_the_contract_holds() -> None:
    """Nothing said: the default model, four slots, and the contract's sampling."""
    made = read()
    assert (made.model, made.host, made.port, made.parallel) == ("default", "127.0.0.1", 8000, 4)
    assert (made.max_queue, made.step_ms, made.drain_s, made.log_prompts) == (64, 400, 30, False)
    assert made.generation == GenerationParams() == keywords().generation
    assert made.use_jinja
    assert not made.swa_full


def test_honoured_options_exist() -> None:
    """Every option that pyllama promises is in llama.cpp's table, and none is deprecated there."""
    by_name = {option.name: option for option in table().options}
    assert set(by_name) >= HONOURED
    assert [name for name in HONOURED if by_name[name].is_deprecated] == []


@pytest.mark.parametrize(("flag", "name"), sorted(_SAMPLING_OPTIONS.items()))
def test_a_sampling_flag_moves_its_default_alone(flag: str, name: str) -> None:
    """A server flag changes the default of one parameter, and leaves the contract's others."""
    wanted: dict[type, tuple[str, Any]] = {bool: ("", True), int: ("1", 1), float: ("0.5", 0.5)}
    text, value = ("1.5", 1.5) if name == "dry_base" else wanted[SAMPLING_TYPES[name]]
    made = read(*([flag, text] if text else [flag]))
    assert made.generation == GenerationParams().with_options(**{name: value})


def test_every_sampling_parameter_but_one_has_a_flag() -> None:
    """llama-server has no flag for ``min_keep``; each other parameter is movable."""
    lists = {"samplers", "logit_bias", "dry_sequence_breakers"}
    assert set(SAMPLING_TYPES) - set(_SAMPLING_OPTIONS.values()) == {"min_keep"} | lists


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (("--samplers", "top_k;temperature"), "samplers", ("top_k", "temperature")),
        (("--samplers", "top-k"), "samplers", ("top_k",)),
        (("--sampler-seq", "kt"), "samplers", ("top_k", "temperature")),
        (("-l", "5-inf", "-l", "7+1.5"), "logit_bias", ((5, -math.inf), (7, 1.5))),
        (("--dry-sequence-breaker", "a"), "dry_sequence_breakers", ("a",)),
        (("--dry-sequence-breaker", "b"), "dry_sequence_breakers", ("b",)),
        (("--dry-sequence-breaker", "none"), "dry_sequence_breakers", ()),
    ],
)
def test_flags_of_lists_move_their_default(argv: tuple[str, ...], name: str, value: Any) -> None:
    """Samplers, biases and breakers come from flags, and survive the way to another process."""
    made = read(*argv)
    assert getattr(made.generation.sampling, name) == value
    assert Settings.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("--samplers", "top_k;tempratur"), "did you mean 'temperature'"),
        (("--sampler-seq", "kz"), "unknown sampler 'kz'"),
        (("--samplers", "top_k", "--sampler-seq", "k"), "give one of them"),
        (("-l", "5+inf"), "a bias must be a number"),
        (("-l", "-5+1"), "no token id"),
    ],
)
def test_flags_of_lists_are_checked(argv: tuple[str, ...], reason: str) -> None:
    """What llama.cpp would drop without a word is refused."""
    with pytest.raises(ConfigError, match=reason):
        read(*argv)


def test_a_random_seed_stays_random() -> None:
    """``--seed -1`` means what it means in a request: a new seed each time."""
    assert read("--seed", "-1").generation.sampling.seed in {-1, 2**32 - 1}


@pytest.mark.parametrize(
    ("argv", "max_tokens"),
    [
        (("--max-tokens", "7"), 7),
        (("--max_tokens=7",), 7),
        (("-n", "8"), 8),
        (("--n-predict", "8"), 8),
        (("-n", "8", "--max-tokens", "7"), 7),
    ],
)
def test_the_length_of_an_answer_has_two_flags(argv: tuple[str, ...], max_tokens: int) -> None:
    """llama-server's ``--predict`` and pyllama's ``--max-tokens``, which wins."""
    assert read(*argv).generation.max_tokens == max_tokens


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        (("-c", "512"), ("-c", "512")),
        (("--ctx-size", "512"), ("--ctx-size", "512")),
        (("--ctx_size", "512"), ("--ctx-size", "512")),
        (("--ctx-size=512",), ("--ctx-size", "512")),
        (("-fa", "on"), ("-fa", "on")),
        (("--no-kv-offload",), ("--no-kv-offload",)),
        (("-nkvo",), ("-nkvo",)),
        (("-kvu",), ("-kvu",)),
        (("-np", "8"), ("-np", "8")),
    ],
)
def test_flags_take_every_spelling(argv: tuple[str, ...], option: tuple[str, ...]) -> None:
    """Short and long, with hyphens, underscores or an equals sign, negated too."""
    assert option in read(*argv).options


def test_flags_about_thinking() -> None:
    """Format, budget and message are settings; effort and switch are values for the template."""
    made = read(
        *("--reasoning-format", "none", "--reasoning-budget", "7"),
        *("--reasoning-budget-message", "Enough.", "--reasoning-effort", "low"),
        *("--reasoning", "off", "--no-reasoning-preserve"),
    )
    assert (made.reasoning_format, made.reasoning_budget) == ("none", 7)
    assert made.reasoning_budget_message == "Enough."
    assert made.template_kwargs["enable_thinking"] is False
    assert made.template_kwargs["reasoning_effort"] == "low"
    assert made.template_kwargs["preserve_reasoning"] is False


def test_flags_that_the_server_itself_reads() -> None:
    """Model, alias, host, port, slots and template reach the fields that are about them."""
    template = '{"a": true, "b": [1]}'
    made = read(
        *("-m", "m.gguf", "--alias", "tiny", "--host", "0.0.0.0", "--port", "5006", "-np", "2"),  # noqa: S104
        *("--no-jinja", "--chat-template", "chatml", "--chat-template-kwargs", template),
        *("--swa-full", "--no-cache-prompt"),
    )
    assert (made.model, made.alias, made.host, made.port) == ("m.gguf", "tiny", "0.0.0.0", 5006)  # noqa: S104
    assert (made.parallel, made.use_jinja, made.chat_template) == (2, False, "chatml")
    assert made.template_kwargs == {"a": True, "b": [1]}
    assert made.swa_full
    assert not made.generation.cache_prompt


@pytest.mark.parametrize(
    ("argv", "environ", "model"),
    [
        ((), {"PYLLAMA_MODEL": "a.gguf"}, "a.gguf"),
        ((), {"LLAMA_ARG_MODEL": "b.gguf", "PYLLAMA_MODEL": "a.gguf"}, "b.gguf"),
        (("-m", "c.gguf"), {"LLAMA_ARG_MODEL": "b.gguf"}, "c.gguf"),
        (("-hf", "org/repo"), {}, "hf:org/repo"),
        (("-hf", "org/repo", "-hff", "x.gguf"), {}, "hf:org/repo:x.gguf"),
    ],
)
def test_the_model_has_many_names(
    argv: tuple[str, ...], environ: Mapping[str, str], model: str
) -> None:
    """A flag before llama-server's variable before pyllama's."""
    assert read(*argv, **environ).model == model


def test_the_projector_has_a_flag_a_variable_and_a_keyword() -> None:
    """All three name the same file; without them the model takes text only."""
    assert read().mmproj is None
    assert read("-mm", "p.gguf").mmproj == "p.gguf"
    assert read(LLAMA_ARG_MMPROJ="p.gguf").mmproj == "p.gguf"
    assert settings.from_keywords("m.gguf", {"mmproj": "p.gguf"}).mmproj == "p.gguf"


def test_a_flag_wins_over_its_variable() -> None:
    """The environment is the operator's default, the command line the last word."""
    environ = {"LLAMA_ARG_CTX_SIZE": "256", "LLAMA_ARG_TOP_K": "3", "PYLLAMA_STEP_MS": "50"}
    made = read("-c", "512", "--step-ms", "60", **environ)
    assert [option for option in made.options if option[-1] in {"256", "512"}] == [("-c", "512")]
    assert (made.generation.sampling.top_k, made.step_ms) == (3, 60)


def test_options_add_up_where_llama_cpp_adds_them_up() -> None:
    """Repeated overrides all count, and replace the variable's; of other flags the last counts."""
    made = read(
        *("--override-kv", "a.x=int:1", "-c", "256", "--override-kv", "a.y=int:2", "-c", "512")
    )
    assert [option[1] for option in made.options if option[0] != "--parallel"] == [
        "a.x=int:1",
        "a.y=int:2",
        "512",
    ]
    assert read("--alias", "b", LLAMA_ARG_ALIAS="a").alias == "b"


@pytest.mark.parametrize(
    ("environ", "option"),
    [
        ({"LLAMA_ARG_KV_UNIFIED": "on"}, ("--kv-unified",)),
        ({"LLAMA_ARG_KV_UNIFIED": "0"}, ("--no-kv-unified",)),
        ({"LLAMA_ARG_NO_KV_UNIFIED": "true"}, ("--no-kv-unified",)),
        ({"LLAMA_ARG_NO_KV_UNIFIED": "FALSE"}, ("--kv-unified",)),
        ({"LLAMA_ARG_SWA_FULL": "1"}, ("--swa-full",)),
        ({"LLAMA_ARG_BATCH": "64"}, ("--batch-size", "64")),
    ],
)
def test_variables_are_llama_servers(environ: Mapping[str, str], option: tuple[str, ...]) -> None:
    """``LLAMA_ARG_*`` take llama-server's words for switches, and have its negations."""
    assert option in read(**environ).options


def test_a_switch_can_be_left_off() -> None:
    """A false variable for a flag that has no negation is the flag left out."""
    assert read(LLAMA_ARG_SWA_FULL="0").options == read().options


def test_other_variables_are_none_of_our_business() -> None:
    """Only the two prefixes are read."""
    assert read(PATH="/bin", LLAMA_CACHE="/x", LLAMACPP="1") == read()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"LLAMA_ARG_CTX_SIZ": "1"}, "did you mean LLAMA_ARG_CTX_SIZE"),
        ({"PYLLAMA_MAX_TOKEN": "1"}, "did you mean PYLLAMA_MAX_TOKENS"),
        ({"PYLLAMA_QQQQQQ": "1"}, "unknown environment variable PYLLAMA_QQQQQQ"),
        ({"LLAMA_ARG_MMPROJ_URL": "x"}, "--mmproj-url"),
        ({"LLAMA_ARG_CONT_BATCHING": "off"}, "always batches"),
    ],
)
def test_a_variable_without_effect_is_an_error(environ: Mapping[str, str], message: str) -> None:
    """Misspelt variables, and those of options that pyllama lacks, are told, not ignored."""
    with pytest.raises(UnknownOption, match=message):
        read(**environ)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--ctx-sise", "1"), "did you mean --ctx-size"),
        (("--max-token", "1"), "unknown option --max-token"),
        (("model.gguf",), "unknown option model.gguf"),
        (("-mmu", "x"), "-mmu is an option of llama-server that pyllama does not have"),
        (("--api-key", "x"), "--api-key is an option"),
        (("--reranking",), "--reranking"),
        (("--no-cont-batching",), "always batches"),
        (("-nocb",), "always batches"),
    ],
)
def test_a_flag_without_effect_is_an_error(argv: tuple[str, ...], message: str) -> None:
    """Misspelt flags name the nearest; flags that pyllama lacks say that they exist elsewhere."""
    with pytest.raises(UnknownOption, match=message):
        read(*argv)


def test_deprecated_options_are_refused_with_the_nearest() -> None:
    """An option that llama.cpp itself has given up is an error, whatever its spelling."""
    deprecated = [option for option in table().options if option.is_deprecated]
    assert deprecated
    for option in deprecated:
        for arg in option.args:
            values = ["x"] * option.n_values
            with pytest.raises(UnknownOption, match="deprecated"):
                read(arg, *values)


def test_honoured_spellings_are_all_taken() -> None:
    """Each spelling of each honoured option is found, but for those refused by name."""
    for option in table().honoured:
        for arg in option.args + option.args_neg:
            if arg not in {"-nocb", "--no-cont-batching"}:
                assert table().by_argument(arg) is option


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("-c",), "-c needs a value"),
        (("-c", "many"), "many"),
        (("-c", "99999999999999"), "99999999999999"),
        (("--swa-full=on",), "takes 0 values"),
        (("-fa", "perhaps"), "perhaps"),
        (("--parallel", "257"), "parallel must be within"),
        (("--port", "65536"), "port must be within"),
        (("--max-queue", "-1"), "max_queue must be within"),
        (("--max-queue", "many"), "--max-queue must be an integer"),
        (("--step-ms", "0"), "step_ms must be within"),
        (("--drain-s", "nan"), "drain_s must be within"),
        (("--drain-s", "soon"), "--drain-s must be a number"),
        (("--log-prompts", "perhaps"), "--log-prompts must be on or off"),
        (("--max-tokens", "-2"), "max_tokens must be at least"),
        (("--top-p", "1.5"), "top_p must be within"),
        (("--chat-template-kwargs", "{"), "(?i)json"),
    ],
)
def test_values_out_of_range_are_errors(argv: tuple[str, ...], message: str) -> None:
    """What cannot be honoured is refused before anything is loaded, and says what would do."""
    with pytest.raises(ConfigError, match=message):
        read(*argv)


@pytest.mark.parametrize(
    "environ", [{"LLAMA_ARG_SWA_FULL": "perhaps"}, {"PYLLAMA_LOG_PROMPTS": "perhaps"}]
)
def test_a_switch_that_is_neither_is_an_error(environ: Mapping[str, str]) -> None:
    """A switch wants on or off."""
    with pytest.raises(ConfigError, match="must be on or off"):
        read(**environ)


@pytest.mark.parametrize("name", sorted(OWN))
def test_own_options_have_three_forms(name: str) -> None:
    """Flag, variable and keyword of an option of pyllama's own mean the same."""
    own = OWN[name]
    # A value that is not the default.
    switches = {
        "log_prompts": ("on", True),
        "media_urls": ("on", True),
        "kernels": ("off", False),
        "tuned": ("off", False),
    }
    word, value = switches.get(name, ("3", 3))
    by_flag = read(own.arg, word)
    assert by_flag == read(**{own.env: word})
    assert by_flag != read()
    made = keywords(**{name: value})
    assert getattr(made, name, None) == getattr(by_flag, name, None)
    assert made.generation == by_flag.generation


@pytest.mark.parametrize(("word", "value"), [("off", False), ("", False), ("1", True)])
def test_own_switches_take_words(word: str, value: bool) -> None:  # noqa: FBT001
    """On and off in the usual words; an empty variable is off."""
    assert read(PYLLAMA_LOG_PROMPTS=word).log_prompts is value


def test_settings_survive_json() -> None:
    """What another process reads back is what was written, options and stop strings included."""
    made = keywords(ctx_size=512, stop=["x", "\n"], temperature=0.5, alias="ä")
    assert Settings.from_json(made.to_json()) == made
    assert Settings.from_json(Settings().to_json()) == Settings()


def clean_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without our variables, and some of them anew."""
    return {
        **{name: value for name, value in os.environ.items() if "LLAMA" not in name},
        **extra,
    }


def test_a_server_reads_its_environment_in_a_process_of_its_own() -> None:
    """The environment and the command line that PYLLAMA_ARGS carries make the same settings."""
    argv = ["-c", "512", "--max-queue", "3"]
    environ = clean_environment(PYLLAMA_ARGS=json.dumps(argv), LLAMA_ARG_N_PARALLEL="2")
    assert settings.from_environment(environ) == read(*argv, LLAMA_ARG_N_PARALLEL="2")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PYLLAMA_STEP_MS": "0"}, "step_ms must be within"),
        ({"PYLLAMA_ARGS": "-c 512"}, "PYLLAMA_ARGS must be a JSON list of strings"),
        ({"PYLLAMA_ARGS": "[1]"}, "PYLLAMA_ARGS must be a JSON list of strings"),
        ({"PYLLAMA_ARGS": '{"-c": 1}'}, "PYLLAMA_ARGS must be a JSON list of strings"),
        ({"PYLLAMA_ARGS": '["--cc"]'}, "unknown option --cc"),
    ],
)
def test_a_wrong_environment_is_told_with_its_reason(environ: dict[str, str], message: str) -> None:
    """The reason crosses the process border."""
    with pytest.raises(ConfigError, match=message):
        settings.from_environment(clean_environment(**environ))


def test_the_help_names_what_is_honoured_and_nothing_else() -> None:
    """Every honoured flag and variable stands in the help; a refused one does not."""
    text = settings.help_text()
    for option in table().honoured:
        assert option.name in text
    for own in OWN.values():
        assert own.arg in text
        assert own.env in text
    assert "--mmproj-url" not in text
