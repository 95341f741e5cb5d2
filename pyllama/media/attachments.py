"""The media of one request: read, cut into what the model sees, put among the prompt's tokens."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidMedia, NativeError, Unsupported
from pyllama.media.content import Picture, Sound
from pyllama.media.kinds import FORMATS, kind_of
from pyllama.media.limits import MediaLimits
from pyllama.media.picture import of_image, read_picture
from pyllama.media.sound import read_sound
from pyllama.media.source import TYPES, Source
from pyllama.media.video import read_video
from pyllama.sched import MediaSpan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama._ext.media import MediaChunk, Projector
    from pyllama._ext.vocab import Vocab
    from pyllama.media.fetch import Downloads, Fetcher
    from pyllama.media.kinds import Family


class MediaReader:
    """Reads media for one loaded model; any thread may use it.

    Args:
        vocab: the model's vocabulary.
        projector: its encoders; None where it has none.
        n_whole: most tokens of a piece of media whose tokens all see each other.
        limits: what a request may send.
        fetcher: fetches what a request names by its address; None refuses addresses.
    """

    def __init__(
        self,
        vocab: Vocab,
        projector: Projector | None = None,
        *,
        n_whole: int = 0,
        limits: MediaLimits | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._vocab = vocab
        self._projector = projector
        self._n_whole = n_whole
        self._limits = limits or MediaLimits()
        self._fetcher = fetcher

    def begin(self) -> Attachments:
        """Return what gathers the media of one request."""
        return Attachments(self, self._fetcher.begin() if self._fetcher else None)

    def read(
        self, part: Mapping[str, Any], path: str, downloads: Downloads | None = None
    ) -> list[Picture | Sound]:
        """Return what a part of a message holds: one picture or sound, or a video's frames.

        Args:
            part: the part.
            path: where it stands in the request.
            downloads: what fetches the files of this request; None refuses addresses.

        Raises:
            InvalidMedia: it is broken; ``param`` is the path of the member.
            Unsupported: the model does not take such media.
        """
        source = Source(part, path)
        # Nothing is fetched or decoded for a model that would not see it.
        self._check_takes(source.family, source.path)
        try:
            data = source.read(self._limits, downloads)
            if not isinstance(data, bytes):
                return [of_image(data, self._limits)]
            return self._decoded(source.family, data)
        except InvalidMedia as error:
            if error.param is not None:
                raise
            message = f"{source.path}: {error.message}"
            raise InvalidMedia(message, param=source.path) from error

    def cut(self, content: Picture | Sound, path: str) -> list[tuple[int, ...] | MediaChunk]:
        """Return what the model sees of a picture or a sound: text around it, and its pieces.

        Raises:
            InvalidMedia: the model's encoder cannot take it.
        """
        projector = self._projector
        if projector is None:
            raise AssertionError("a projector was there when the part was read")
        try:
            if isinstance(content, Picture):
                pieces = projector.picture(content.rgb, content.width, content.height)
            else:
                pieces = projector.sound(content.samples)
        except NativeError as error:
            raise InvalidMedia(
                f"{path} cannot be shown to this model: {error.detail}", param=path
            ) from error
        for piece in pieces:
            if not isinstance(piece, tuple) and not piece.is_causal:
                self._check_whole(piece, path)
        return list(pieces)

    def text_tokens(self, text: str, *, is_first: bool, is_last: bool) -> list[int]:
        """Return the token ids of a piece of a prompt's text."""
        vocab = self._vocab
        tokens = vocab.tokenize(text, parse_special=True)
        if is_first and vocab.adds_bos and vocab.bos is not None:
            tokens.insert(0, vocab.bos)
        if is_last and vocab.adds_eos and vocab.eos is not None:
            tokens.append(vocab.eos)
        return tokens

    def _check_takes(self, family: Family, path: str) -> None:
        projector = self._projector
        if projector is None:
            raise Unsupported(
                f"{path}: the model takes text only; start it with --mmproj to send a {family}",
                param=path,
            )
        if not (projector.has_audio if family == "sound" else projector.has_vision):
            raise Unsupported(f"{path}: the model's projector takes no {family}", param=path)

    def _decoded(self, family: Family, data: bytes) -> list[Picture | Sound]:
        kind = kind_of(data)
        if kind is None or kind[0] != family:
            found = f"it is a {kind[0]} ({kind[1]})" if kind else "the format is unknown"
            raise InvalidMedia(f"{found}; send a {family}: {FORMATS[family]}")
        name = kind[1]
        if family == "picture":
            return [read_picture(data, name, self._limits)]
        if family == "video":
            return list(read_video(data, name, self._limits))
        rate = self._projector.sample_rate if self._projector else None
        if rate is None:
            raise AssertionError("a projector that takes sound has a rate")
        return [read_sound(data, name, rate, self._limits)]

    def _check_whole(self, chunk: MediaChunk, path: str) -> None:
        if chunk.n_tokens > self._n_whole:
            raise InvalidMedia(
                f"{path} takes {chunk.n_tokens} tokens that are computed at once, and at most "
                f"{self._n_whole} can be; raise --batch-size and --ubatch-size",
                param=path,
            )

    @property
    def max_parts(self) -> int:
        """Parts of one request that may hold media."""
        return self._limits.max_parts


class Attachments:
    """Gathers the media of one request while its messages are read, in any order."""

    def __init__(self, reader: MediaReader, downloads: Downloads | None = None) -> None:
        self._reader = reader
        self._downloads = downloads
        # Nobody can write this into a message of theirs.
        self._secret = secrets.token_hex(16)
        self._parts: list[tuple[str, Picture | Sound]] = []
        self._n_parts = 0

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._parts)

    @staticmethod
    def takes(part: Mapping[str, Any]) -> bool:
        """Tell whether a part of a message is media."""
        kind = part.get("type")
        return isinstance(kind, str) and kind in TYPES

    def add(self, part: Mapping[str, Any], path: str) -> list[dict[str, str]]:
        """Read a part; return the parts that stand for it in a template.

        Raises:
            InvalidMedia: it is broken, or one too many; ``param`` is its path.
            Unsupported: the model does not take it.
        """
        self._n_parts += 1
        if self._n_parts > self._reader.max_parts:
            raise InvalidMedia(
                f"{path}: a request may hold {self._reader.max_parts} media parts", param=path
            )
        markers = []
        for content in self._reader.read(part, path, self._downloads):
            marker = f"<{self._secret}-{len(self._parts)}>"
            self._parts.append((path, content))
            markers.append({"type": "media_marker", "text": marker})
        return markers

    def tokenize(self, text: str) -> tuple[tuple[int, ...], tuple[MediaSpan, ...]]:
        """Return a rendered prompt's tokens with the media in the places of their markers.

        Raises:
            InvalidMedia: the model's encoder cannot take one of them.
        """
        tokens: list[int] = []
        spans: list[MediaSpan] = []
        pieces = re.split(f"<{self._secret}-([0-9]+)>", text)
        for index, piece in enumerate(pieces):
            if index % 2:
                path, content = self._parts[int(piece)]
                self._place(content, path, tokens, spans)
                continue
            is_first, is_last = index == 0, index == len(pieces) - 1
            tokens += self._reader.text_tokens(piece, is_first=is_first, is_last=is_last)
        return tuple(tokens), tuple(spans)

    def _place(
        self, content: Picture | Sound, path: str, tokens: list[int], spans: list[MediaSpan]
    ) -> None:
        digest = content.digest
        for index, piece in enumerate(self._reader.cut(content, path)):
            if isinstance(piece, tuple):
                tokens += piece
                continue
            spans.append(MediaSpan(len(tokens), piece.n_tokens, piece))
            tokens += [_stand_in(digest, index, piece.n_tokens)] * piece.n_tokens


def _stand_in(digest: bytes, index: int, n_tokens: int) -> int:
    """Return the token that stands for a piece of media: a negative number for its content.

    All of the digest is in it, so that nobody can make a picture that passes for another one.
    """
    name = hashlib.sha256(b"%s %d %d" % (digest, index, n_tokens)).digest()
    return -1 - int.from_bytes(name, "big")
