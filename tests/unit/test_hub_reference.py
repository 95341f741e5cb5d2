"""Model references, told apart by their spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllama.errors import ConfigError
from pyllama.hub.reference import DefaultModel, HubModel, parse


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("default", DefaultModel()),
        ("hf:org/repo", HubModel(repo="org/repo")),
        ("hf:org/repo:Q8_0", HubModel(repo="org/repo", quant="Q8_0")),
        (
            "hf:o.r-g/re_po:a/b-00001-of-00002.gguf",
            HubModel(repo="o.r-g/re_po", file="a/b-00001-of-00002.gguf"),
        ),
        ("hf:org/repo:UPPER.GGUF", HubModel(repo="org/repo", file="UPPER.GGUF")),
        ("model.gguf", Path("model.gguf")),
        ("./default", Path("default")),
        ("/models/a b.gguf", Path("/models/a b.gguf")),
        (r"C:\models\x.gguf", Path(r"C:\models\x.gguf")),
    ],
)
def test_each_kind_is_recognised(ref: str, expected: object) -> None:
    """A reference is a path unless it is spelled as one of the other two kinds."""
    assert parse(ref) == expected


def test_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leading ~ is expanded, as the shell does only where it is unquoted."""
    monkeypatch.setenv("HOME", "/somewhere/me")
    monkeypatch.setenv("USERPROFILE", "/somewhere/me")
    assert parse("~/m.gguf") == Path("/somewhere/me/m.gguf")


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("hf://org/repo", "write 'hf:org/repo'"),
        ("HF:org/repo:Q4_0", "write 'hf:org/repo:Q4_0'"),
        ("huggingface:org/repo", "write 'hf:org/repo'"),
        ("https://huggingface.co/org/repo", "write 'hf:org/repo'"),
        ("https://huggingface.co/org/repo/blob/main/d/m.gguf", "write 'hf:org/repo:d/m.gguf'"),
        (
            "https://huggingface.co/org/repo/resolve/main/m.gguf?download=true",
            "'hf:org/repo:m.gguf'",
        ),
        ("default:latest", "write 'default'"),
    ],
)
def test_a_near_spelling_is_answered_with_the_right_one(ref: str, said: str) -> None:
    """What people write elsewhere is refused with the reference to write here."""
    with pytest.raises(ConfigError) as caught:
        parse(ref)
    assert said in str(caught.value)
    assert ref in str(caught.value)


@pytest.mark.parametrize(
    "ref", ["ollama:llama3", "s3://bucket/m.gguf", "https://example.com/m", ""]
)
def test_an_unknown_kind_names_the_three_kinds(ref: str) -> None:
    """Every kind that exists is named where none was met."""
    with pytest.raises(ConfigError) as caught:
        parse(ref)
    for kind in ("path", "'default'", "'hf:org/repo[:file]'"):
        assert kind in str(caught.value)


@pytest.mark.parametrize(
    "ref", ["hf:", "hf:repo", "hf:a/b/c", "hf:org/", "hf:org/repo:", "hf:org/repo:x y", "hf:o g/r"]
)
def test_a_malformed_hub_reference_is_refused(ref: str) -> None:
    """A reference that starts with hf: never falls through to being a path."""
    with pytest.raises(ConfigError, match="hf:"):
        parse(ref)


def test_a_file_that_exists_wins_over_an_unknown_scheme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colon in the name of a file that is there is no scheme."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model:v2.gguf").touch()
    assert parse("model:v2.gguf") == Path("model:v2.gguf")


@pytest.mark.parametrize("ref", ["hf:org/repo", "hf:org/repo:Q8_0", "hf:org/repo:a/m.gguf"])
def test_a_hub_model_prints_as_it_was_spelled(ref: str) -> None:
    """Error messages show the reference that the user can paste back."""
    assert str(parse(ref)) == ref
