"""Fixtures that several rooms share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def model_path() -> Path:
    """Path of the default model, fetched into the user's cache the first time."""
    from pyllama import hub  # rooms without a model need no hub

    return hub.resolve("default")
