"""What a model that is none says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pyllama.recommendation import Recommendation


@dataclass(frozen=True, slots=True)
class FakeCard:
    """A card whose files are never read."""

    template: str = "{{ messages }}"
    can_call: bool = True
    can_think: bool = True
    can_infill: bool = True
    projector: str | None = None
    recommendation: Recommendation = field(default_factory=Recommendation)

    def metadata(self, *, arrays: bool = False) -> dict[str, Any]:
        tokens = ["a", "b"] if arrays else None
        license_ = "none at all"
        return {"general.license": license_, "fake.block_count": 2, "tokenizer.tokens": tokens}

    def projector_metadata(self, *, arrays: bool = False) -> dict[str, Any] | None:
        if self.projector is None:
            return None
        return {"clip.projector_type": self.projector, "means": [0.5] if arrays else None}
