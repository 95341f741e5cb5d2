"""Templates of texts in Go's form, as far as they are understood."""

from __future__ import annotations

import tracemalloc

import pytest

from pyllama.errors import InvalidRequest
from wsgi.ollama.go_template import MAX_CHARS, render

WORDS = {"System": "S", "Prompt": "P", "Suffix": ""}
CHATML = """{{- if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}{{ if .Prompt }}<|im_start|>user
{{ .Prompt }}<|im_end|>
{{ end }}<|im_start|>assistant
{{ .Response }}<|im_end|>
"""


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain } text {", "plain } text {"),
        ("{{ .Prompt }}", "P"),
        ("{{.Prompt}}", "P"),
        ("a {{- .Prompt -}} b", "aPb"),
        ("a {{ .Prompt }} b", "a P b"),
        ("{{ if .Prompt }}yes{{ end }}", "yes"),
        ("{{ if .Suffix }}yes{{ else }}no{{ end }}", "no"),
        ("{{ if .Suffix }}a{{ else if .System }}b{{ else if .Prompt }}c{{ else }}d{{ end }}", "b"),
        ("{{ if .Prompt }}a{{ else if .System }}b{{ else }}d{{ end }}", "a"),
        ("{{ if .Suffix }}{{ if .Prompt }}a{{ end }}{{ else }}{{ .System }}{{ end }}.", "S."),
        ("{{/* a note */}}x", "x"),
        ("a{{ .Response }}b{{ .Prompt }}", "a"),
        ("{{ if .Suffix }}{{ .Response }}{{ end }}b", "b"),
    ],
)
def test_words_and_conditions_are_put_in(template: str, text: str) -> None:
    """What Go makes of a template, this does; nothing follows the place of the answer."""
    assert render(template, WORDS) == text


def test_common_template_is_understood() -> None:
    """The form that most templates of texts have, with a system prompt and without."""
    user = "<|im_start|>user\nP<|im_end|>\n<|im_start|>assistant\n"
    assert render(CHATML, WORDS) == f"<|im_start|>system\nS<|im_end|>\n{user}"
    assert render(CHATML, {**WORDS, "System": ""}) == user


def test_text_of_a_template_is_bounded() -> None:
    """One that names a long prompt very many times is refused, and nothing is put together."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest, match="template makes a text of more than"):
            render("{{ .Prompt }}" * 1000, {**WORDS, "Prompt": "x" * (MAX_CHARS // 100)})
        assert tracemalloc.get_traced_memory()[1] < MAX_CHARS // 10
    finally:
        tracemalloc.stop()


def test_words_are_no_templates() -> None:
    """What a prompt says is put in as it is."""
    assert render("{{ .Prompt }}", {**WORDS, "Prompt": "{{ .System }}"}) == "{{ .System }}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ range .Messages }}{{ end }}",
        "{{ .Unknown }}",
        "{{ .Prompt | printf }}",
        "{{ end }}",
        "{{ else }}",
        "{{ if .Prompt }}{{ else }}{{ else }}{{ end }}",
        "{{ if .Prompt }}",
        "{{ if eq .Prompt .System }}{{ end }}",
        "{{ .Prompt",
        "{{ if .Prompt }}" * 65,
        "{{ }}",
    ],
)
def test_what_is_not_understood_is_refused(template: str) -> None:
    """It is an error of the request that names the field."""
    with pytest.raises(InvalidRequest, match="template") as caught:
        render(template, WORDS)
    assert caught.value.param == "template"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "part", [" ", "{{ .Prompt }} ", "{{ if .Prompt }}{{ end }}", "{{- .Suffix }}"]
)
def test_long_template_is_read_once(part: str) -> None:
    """A million characters end, and the last of them counts."""
    assert render(part * (10**6 // len(part)) + "end", WORDS).endswith("end")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("part", ["{{", "{{- ", "{{ if .Prompt }}"])
def test_long_template_without_an_end_is_refused(part: str) -> None:
    """A million characters that open and never close are no template."""
    with pytest.raises(InvalidRequest):
        render(part * (10**6 // len(part)), WORDS)
