"""The media of one request: read, cut into what the model sees, put among the prompt's tokens."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Any

from pyllama.errors import ContextOverflow, InvalidMedia, NativeError, Unsupported
from pyllama.media.content import MARK, Picture, Sound
from pyllama.media.kinds import FORMATS, kind_of
from pyllama.media.limits import MediaLimits
from pyllama.media.picture import of_image, read_picture
from pyllama.media.sound import read_sound
from pyllama.media.source import TYPES, Source
from pyllama.media.video import read_video
from pyllama.sched import MediaSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pyllama._ext.media import MediaChunk, Projector
    from pyllama._ext.vocab import Vocab
    from pyllama.media.fetch import Downloads, Fetcher
    from pyllama.media.kinds import Family, FileKind

    # A run of tokens, and what is to be computed in its place where it is media.
    _Piece = tuple[tuple[int, ...], MediaChunk | None]


class MediaReader:
    """Reads media for one loaded model; any thread may use it.

    Args:
        vocab: the model's vocabulary.
        projector: its encoders; None where it has none.
        n_whole: most tokens of a piece of media whose tokens all see each other.
        n_ctx: most tokens of all media of a request; they could not be computed.
        limits: what a request may send.
        fetcher: fetches what a request names by its address; None refuses addresses.
    """

    def __init__(
        self,
        vocab: Vocab,
        projector: Projector | None = None,
        *,
        n_whole: int = 0,
        n_ctx: int = 0,
        limits: MediaLimits | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._vocab = vocab
        self._projector = projector
        self._n_whole = n_whole
        self.n_ctx = n_ctx
        self._limits = limits or MediaLimits()
        self._fetcher = fetcher

    def begin(self) -> Attachments:
        """Return what gathers the media of one request."""
        return Attachments(self, self._fetcher.begin() if self._fetcher else None)

    def read(
        self, part: Mapping[str, Any], path: str, downloads: Downloads | None = None
    ) -> Iterator[Picture | Sound]:
        """Yield what a part of a message holds: one picture or sound, or a video's frames.

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
            if isinstance(data, bytes):
                yield from self._decoded(source.family, data)
            else:
                yield of_image(data, self._limits)
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

    def _decoded(self, family: Family, data: bytes) -> Iterable[Picture | Sound]:
        kind = kind_of(data)
        if kind is None or family not in kind.families:
            raise InvalidMedia(f"{_found(kind)}; send a {family}: {FORMATS[family]}")
        if family == "picture":
            return [read_picture(data, kind.name, self._limits)]
        if family == "video":
            return read_video(data, kind.name, self._limits)
        rate = self._projector.sample_rate if self._projector else None
        if rate is None:
            raise AssertionError("a projector that takes sound has a rate")
        return [read_sound(data, kind.name, rate, self._limits)]

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
        self._pieces: list[list[_Piece]] = []
        self._n_parts = 0
        self._n_tokens = 0

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._pieces)

    @staticmethod
    def takes(part: Mapping[str, Any]) -> bool:
        """Tell whether a part of a message is media."""
        kind = part.get("type")
        return isinstance(kind, str) and kind in TYPES

    def add(self, part: Mapping[str, Any], path: str) -> list[dict[str, str]]:
        """Read a part; return the parts that stand for it in a template.

        Pixels and samples are kept no longer than it takes to cut them: what is kept of all media
        grows with their tokens, however much small files unpack to.

        Raises:
            InvalidMedia: it is broken, one too many, or the model's encoder cannot take it;
                ``param`` is its path.
            ContextOverflow: there are more tokens of media than a request may have at all.
            Unsupported: the model does not take it.
        """
        self._n_parts += 1
        if self._n_parts > self._reader.max_parts:
            raise InvalidMedia(
                f"{path}: a request may hold {self._reader.max_parts} media parts", param=path
            )
        markers = []
        for content in self._reader.read(part, path, self._downloads):
            marker = f"<{self._secret}-{len(self._pieces)}>"
            self._pieces.append(self._cut(content, path))
            markers.append({"type": "media_marker", "text": marker})
        return markers

    def tokenize(self, text: str) -> tuple[tuple[int, ...], tuple[MediaSpan, ...]]:
        """Return a rendered prompt's tokens with the media in the places of their markers."""
        tokens: list[int] = []
        spans: list[MediaSpan] = []
        texts = re.split(f"<{self._secret}-([0-9]+)>", text)
        for index, piece in enumerate(texts):
            if index % 2:
                for run, chunk in self._pieces[int(piece)]:
                    if chunk is not None:
                        spans.append(MediaSpan(len(tokens), len(run), chunk))
                    tokens += run
                continue
            is_first, is_last = index == 0, index == len(texts) - 1
            tokens += self._reader.text_tokens(piece, is_first=is_first, is_last=is_last)
        return tuple(tokens), tuple(spans)

    def marked(self, text: str) -> str:
        """Return a rendered prompt with :data:`MARK` in the places of the media."""
        return re.sub(f"<{self._secret}-[0-9]+>", MARK, text)

    def _cut(self, content: Picture | Sound, path: str) -> list[_Piece]:
        digest = content.digest
        pieces: list[_Piece] = []
        for index, piece in enumerate(self._reader.cut(content, path)):
            if isinstance(piece, tuple):
                pieces.append((piece, None))
            else:
                token = _stand_in(digest, index, piece.n_tokens)
                pieces.append(((token,) * piece.n_tokens, piece))
        self._n_tokens += sum(len(run) for run, _ in pieces)
        if self._n_tokens > self._reader.n_ctx:
            raise ContextOverflow(self._n_tokens, self._reader.n_ctx, is_least=True)
        return pieces


def _found(kind: FileKind | None) -> str:
    if kind is None:
        return "the format is unknown"
    if not kind.families:
        return f"{kind.name} is not read here"
    return f"it is a {kind.families[0]} ({kind.name})"


def _stand_in(digest: bytes, index: int, n_tokens: int) -> int:
    """Return the token that stands for a piece of media: a negative number for its content.

    All of the digest is in it, so that nobody can make a picture that passes for another one.
    """
    name = hashlib.sha256(b"%s %d %d" % (digest, index, n_tokens)).digest()
    return -1 - int.from_bytes(name, "big")
