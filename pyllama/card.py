"""What a loaded model says of itself: its template, its abilities, and its file's metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyllama import hub
from pyllama.recommendation import Recommendation, recommendation_for

if TYPE_CHECKING:
    from pyllama.results import ModelInfo
    from pyllama.text import TextCodec


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Facts about a model that few ask for; immutable, and valid after the model was closed."""

    path: Path
    """The file; of a model in several parts, the first."""
    projector_path: Path | None
    """The file through which it sees or hears."""
    template: str
    """Source of the chat template, in Jinja."""
    can_call: bool
    """Whether chats may have tools."""
    can_think: bool
    """Whether the template has a place for thoughts."""
    can_infill: bool
    """Whether the vocabulary has tokens for filling in between two texts."""
    recommendation: Recommendation
    """What suits it in a conversation with a person."""

    @classmethod
    def of(cls, info: ModelInfo, codec: TextCodec) -> ModelCard:
        """Ask a model's template and vocabulary."""
        return cls(
            path=Path(info.path),
            projector_path=Path(info.projector_path) if info.projector_path else None,
            template=codec.chats.template.source,
            can_call=codec.chats.can_call,
            can_think=codec.chats.can_think(),
            can_infill=codec.vocab.infill is not None,
            recommendation=recommendation_for(Path(info.path)),
        )

    def metadata(self, *, arrays: bool = False) -> dict[str, Any]:
        """Return the key-value pairs of the file; arrays are None unless they are asked for.

        Raises:
            ModelNotFound: the file is gone.
            ModelLoadError: it cannot be read any more.
        """
        return hub.read_metadata(self.path, arrays=arrays)

    def projector_metadata(self, *, arrays: bool = False) -> dict[str, Any] | None:
        """Return the same of the projector's file; None where there is none.

        Raises:
            ModelNotFound: the file is gone.
            ModelLoadError: it cannot be read any more.
        """
        path = self.projector_path
        return hub.read_metadata(path, arrays=arrays) if path else None
