"""Collects options from any source, lets llama.cpp check them, and makes Settings of them."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from pyllama._ext.options import Options
from pyllama.errors import ConfigError, InvalidRequest, UnknownOption
from pyllama.params import SAMPLING_TYPES, GenerationParams
from pyllama.settings.own import OWN
from pyllama.settings.settings import Settings
from pyllama.settings.table import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyllama.settings.table import Option

# Options of llama.cpp that become defaults of a request, by the name of the parameter.
_SAMPLING_OPTIONS = {
    "--seed": "seed",
    "--ignore-eos": "ignore_eos",
    "--temp": "temperature",
    "--top-k": "top_k",
    "--top-p": "top_p",
    "--min-p": "min_p",
    "--top-nsigma": "top_n_sigma",
    "--xtc-probability": "xtc_probability",
    "--xtc-threshold": "xtc_threshold",
    "--typical": "typical_p",
    "--repeat-last-n": "repeat_last_n",
    "--repeat-penalty": "repeat_penalty",
    "--presence-penalty": "presence_penalty",
    "--frequency-penalty": "frequency_penalty",
    "--dry-multiplier": "dry_multiplier",
    "--dry-base": "dry_base",
    "--dry-allowed-length": "dry_allowed_length",
    "--dry-penalty-last-n": "dry_penalty_last_n",
    "--dynatemp-range": "dynatemp_range",
    "--dynatemp-exp": "dynatemp_exponent",
    "--mirostat": "mirostat",
    "--mirostat-lr": "mirostat_eta",
    "--mirostat-ent": "mirostat_tau",
    "--adaptive-target": "adaptive_target",
    "--adaptive-decay": "adaptive_decay",
}
# Options that add up where a command line has them several times; of others the last one counts.
_REPEATABLE = {
    *("--alias", "--chat-template-kwargs", "--override-kv", "--override-tensor"),
    *("--logit-bias", "--dry-sequence-breaker", "--spec-type"),
}
_TRUTHY = {"on", "enabled", "true", "1"}
_FALSY = {"off", "disabled", "false", "0"}
_DEFAULT_PORT = 8000
_DEFAULT_ORIGINS = ("localhost",)
_DEFAULT_PARALLEL = 4


class Collector:
    """Options seen so far; a later source wins over an earlier one."""

    def __init__(self) -> None:
        self.own: dict[str, Any] = {}
        # By the option's name, so that a flag replaces its environment variable.
        self._native: dict[str, tuple[tuple[str, ...], ...]] = {}

    # ---- sources ------------------------------------------------------------------------------

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Take ``LLAMA_ARG_*`` and ``PYLLAMA_*`` variables."""
        if environ.get("PYLLAMA_MODEL"):
            self.own["model"] = environ["PYLLAMA_MODEL"]
        for own in OWN.values():
            if own.env in environ:
                self.own[own.name] = own.read(environ[own.env], own.env)
        by_variable = {name: option for option in table().options for name in _variables(option)}
        for name, text in environ.items():
            if name in by_variable:
                self._add_variable(by_variable[name], name, text)
            elif name.startswith("LLAMA_ARG_"):
                near = difflib.get_close_matches(name, sorted(by_variable), 1, 0.5)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UnknownOption(f"unknown environment variable {name}{hint}")

    def add_arguments(self, argv: Sequence[str]) -> None:
        """Take a command line."""
        arguments = iter(argv)
        own_by_arg = {own.arg: own for own in OWN.values()}
        negated = {own.negation: own for own in OWN.values() if own.negation}
        seen: set[str] = set()
        for argument in arguments:
            arg, inline = argument, None
            if argument.startswith("--") and "=" in argument:
                arg, _, inline = argument.partition("=")
            if own := negated.get(_spelling(argument)):
                self.own[own.name] = False
                continue
            own = own_by_arg.get(_spelling(arg))
            n_values = 1 if own else table().by_argument(arg).n_values
            values = self._values(arg, arguments, n_values, inline)
            if own is not None:
                self.own[own.name] = own.read(values[0], arg)
                continue
            option = table().by_argument(arg)
            earlier = self._native[option.name] if option.name in seen & _REPEATABLE else ()
            self._add(option, _spelling(arg), *values)
            self._native[option.name] = (*earlier, *self._native[option.name])
            seen.add(option.name)

    def add_keyword(self, keyword: str, value: Any, others: tuple[str, ...]) -> None:
        """Take one keyword argument."""
        if keyword in OWN:
            self.own[keyword] = OWN[keyword].read(str(value), keyword)
            return
        option = table().by_keyword(keyword, others)
        if option.kind in {"flag", "bool"}:
            is_negation = "--" + keyword.replace("_", "-") in option.args_neg
            self._add_switch(option, keyword, value, is_negation=is_negation)
        elif value is not None:
            text = ("on" if value else "off") if isinstance(value, bool) else str(value)
            self._add(option, option.name, text)

    # ---- the result -----------------------------------------------------------------------------

    def settings(self, generation: Mapping[str, Any] | None = None) -> Settings:
        """Check every value with llama.cpp's own handlers; return the settings.

        Raises:
            ConfigError: a value cannot be honoured.
        """
        native = dict(self._native)
        native.setdefault("--parallel", (("--parallel", str(_DEFAULT_PARALLEL)),))
        options = tuple(option for options in native.values() for option in options)
        values = _read_back(options)
        _check_speculation(values)
        own = dict(self.own)
        defaults = {
            parameter: _as_parameter(parameter, values["sampling"][parameter])
            for option, parameter in _SAMPLING_OPTIONS.items()
            if option in native
        }
        defaults |= _listed_parameters(native, values["sampling"])
        if "--predict" in native:
            defaults["max_tokens"] = values["n_predict"]
        if "--cache-prompt" in native:
            defaults["cache_prompt"] = values["cache_prompt"]
        if "max_tokens" in own:
            defaults["max_tokens"] = own.pop("max_tokens")
        defaults |= generation or {}
        try:
            params = GenerationParams().with_options(**defaults)
        except InvalidRequest as error:
            raise ConfigError(str(error)) from error
        return Settings(
            model=_model(values, own),
            alias=next(iter(values["aliases"]), None),
            host=",".join(values["hostnames"]),
            port=values["port"] if "--port" in native else _DEFAULT_PORT,
            cors_origins=_origins(values) if "--cors-origins" in native else _DEFAULT_ORIGINS,
            parallel=values["n_parallel"] if values["n_parallel"] > 0 else _DEFAULT_PARALLEL,
            generation=params,
            generation_given=tuple(sorted(defaults)),
            chat_template=values["chat_template"] or None,
            use_jinja=values["use_jinja"],
            template_kwargs={
                key: json.loads(text) for key, text in values["template_kwargs"].items()
            },
            reasoning_format=values["reasoning_format"],
            reasoning_budget=values["reasoning_budget"],
            reasoning_budget_message=values["reasoning_budget_message"],
            swa_full=values["swa_full"],
            metrics=values["metrics"],
            embedding=values["embedding"],
            pooling=values["pooling"] if "--pooling" in native else None,
            embd_normalize=values["embd_normalize"],
            kv_unified=values["kv_unified"],
            cache_ram=values["cache_ram"] if "--cache-ram" in native else None,
            mmproj=values["mmproj"] or None,
            options=options,
            **own,
        )

    # ---- helpers --------------------------------------------------------------------------------

    def _add(self, option: Option, arg: str, *values: str) -> None:
        self._native[option.name] = ((arg, *values),)

    def _add_switch(self, option: Option, source: str, value: object, *, is_negation: bool) -> None:
        if not isinstance(value, bool):
            raise ConfigError(f"{source} must be True or False, not {value!r}")
        if value != is_negation:
            self._add(option, option.name)
        elif option.args_neg:
            # Through the table once more: some negations are refused.
            negation = next(arg for arg in option.args_neg if arg.startswith("--"))
            self._add(table().by_argument(negation), negation)
        else:
            self._native.pop(option.name, None)

    def _add_variable(self, option: Option, name: str, text: str) -> None:
        table().by_argument(option.name)
        if option.kind not in {"flag", "bool"}:
            self._add(option, option.name, text)
            return
        word = text.strip().lower()
        if word not in _TRUTHY | _FALSY:
            raise ConfigError(f"{name} must be on or off, not {text!r}")
        is_negation = option.env is not None and name != option.env
        self._add_switch(option, name, word in _TRUTHY, is_negation=is_negation)

    def _values(
        self, arg: str, arguments: Any, n_values: int, inline: str | None
    ) -> tuple[str, ...]:
        if inline is not None:
            if n_values != 1:
                raise ConfigError(f"{arg} takes {n_values} values, not one after '='")
            return (inline,)
        values = tuple(value for _, value in zip(range(n_values), arguments, strict=False))
        if len(values) < n_values:
            raise ConfigError(f"{arg} needs a value")
        return values


def _variables(option: Option) -> list[str]:
    """Return the environment variables of an option; a switch has a negated one beside its own."""
    if option.env is None or not option.env.startswith("LLAMA_"):
        return []
    names = [option.env]
    if option.args_neg and option.env.startswith("LLAMA_ARG_"):
        names.append(option.env.replace("LLAMA_ARG_", "LLAMA_ARG_NO_", 1))
    return names


def _spelling(arg: str) -> str:
    """Return a long spelling with hyphens; ``-ot`` and the like as they are."""
    return arg.replace("_", "-") if arg.startswith("--") else arg


def _read_back(options: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    native = Options()
    for option in options:
        native.set(*option)
    native.finish()
    values: dict[str, Any] = native.values()
    return values


def _as_parameter(name: str, value: Any) -> Any:
    # JSON does not tell 1 from 1.0, the parameters do.
    return SAMPLING_TYPES[name](value)


def _check_speculation(values: Mapping[str, Any]) -> None:
    """Refuse the kinds of speculative decoding that need more than the text itself."""
    for kind in values["spec_types"]:
        if kind != "none" and not kind.startswith("ngram-"):
            raise ConfigError(
                f"--spec-type {kind} needs a draft model, which pyllama does not run; it drafts by "
                "lookup: ngram-simple, ngram-map-k, ngram-map-k4v, ngram-mod, ngram-cache"
            )


def _listed_parameters(
    native: Mapping[str, tuple[tuple[str, ...], ...]], sampling: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters that are lists, as far as flags say something of them."""
    found: dict[str, Any] = {}
    # llama.cpp drops a name that it does not know, so that the text itself is read.
    if "--samplers" in native:
        found["samplers"] = native["--samplers"][-1][1].split(";")
    if "--sampler-seq" in native:
        if found:
            raise ConfigError("--samplers and --sampler-seq say the same; give one of them")
        found["samplers"] = native["--sampler-seq"][-1][1]
    # It forgets its default breakers once in a process: the flags themselves are read.
    for _, text in native.get("--dry-sequence-breaker", ()):
        earlier = found.get("dry_sequence_breakers", ())
        found["dry_sequence_breakers"] = () if text == "none" else (*earlier, text)
    if "--logit-bias" in native:
        found["logit_bias"] = sampling["logit_bias"]
    return found


def _origins(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(origin.strip().lower() for origin in values["cors_origins"].split(","))


def _model(values: Mapping[str, Any], own: dict[str, Any]) -> str:
    """Return the model reference: a flag, else PYLLAMA_MODEL, else the default model."""
    chosen = own.pop("model", "default")
    if values["hf_repo"]:
        file = f":{values['hf_file']}" if values["hf_file"] else ""
        return f"hf:{values['hf_repo']}{file}"
    return str(values["model_path"] or chosen)
