"""The setting that lets a model's media be fetched reaches what reads them, and its guards stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllama import Llama
from pyllama.errors import InvalidMedia, Unsupported
from tests.support import projectors


@pytest.mark.model
@pytest.mark.parametrize(
    ("media_urls", "url", "error", "reason"),
    [
        (False, "http://127.0.0.1/a.png", Unsupported, "none is fetched"),
        (True, "http://127.0.0.1/a.png", InvalidMedia, "not on the public internet"),
        (True, "file:///etc/passwd", InvalidMedia, "only addresses of http: and https:"),
    ],
)
def test_an_operator_allows_addresses(
    model_path: Path,
    tmp_path: Path,
    *,
    media_urls: bool,
    url: str,
    error: type[Exception],
    reason: str,
) -> None:
    """Without the setting none is looked at; with it, those of this machine are still refused."""
    mmproj = str(projectors.make(tmp_path, "mlp"))
    part = {"type": "image_url", "image_url": {"url": url}}
    with (
        Llama(str(model_path), mmproj=mmproj, ctx_size=512, media_urls=media_urls) as llm,
        pytest.raises(error, match=reason) as caught,
    ):
        llm.chat_prompt([{"role": "user", "content": [part]}])
    assert "messages[0].content[0].image_url.url" in str(caught.value)
