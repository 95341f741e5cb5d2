"""Pictures and sound: what a text model sees of them, and its KV cells."""

from os import PathLike

from typing_extensions import disjoint_base

from pyllama._ext.context import Context
from pyllama._ext.model import Model
from pyllama._ext.options import Options

@disjoint_base
class Projector:
    """The encoders of pictures and sound beside a text model.

    Any thread may cut media; :meth:`MediaChunk.encode` is for one thread at a time.

    Args:
        model: the text model, which it keeps.
        path: the projector's file.
        options: where and how it runs; None takes those that loaded the model.

    Raises:
        NativeError: the file is not a projector, or not one for this model.

    Source: ``mtmd_init_from_file`` (tools/mtmd/mtmd.h).
    """

    def __new__(
        cls, model: Model, path: str | PathLike[str], options: Options | None = None
    ) -> Projector: ...
    @property
    def has_vision(self) -> bool:
        """Whether it takes pictures."""

    @property
    def has_audio(self) -> bool:
        """Whether it takes sound."""

    @property
    def is_mrope(self) -> bool:
        """Whether the text model gives a picture fewer positions than it has tokens.

        Source: ``mtmd_decode_use_mrope``.
        """

    @property
    def sample_rate(self) -> int | None:
        """Samples a second of the sound that it takes; None where it takes none."""

    @property
    def n_embd(self) -> int:
        """Values of one token's embedding."""

    def picture(
        self, rgb: bytes, width: int, height: int
    ) -> tuple[tuple[int, ...] | MediaChunk, ...]:
        """Cut a picture into what the text model sees of it. Releases the GIL.

        Args:
            rgb: 3 bytes a pixel, row by row, shape (height, width, 3).
            width: pixels, at most 32768.
            height: pixels, at most 32768.

        Returns:
            In order: token ids of the text around the picture and its tiles, and the tiles.

        Raises:
            ValueError: sizes do not fit, or the projector takes no pictures.
            NativeError: mtmd refuses the picture, or the text model lacks tokens that it needs.

        Source: ``mtmd_tokenize_from_parts``.
        """

    def sound(self, samples: bytes) -> tuple[tuple[int, ...] | MediaChunk, ...]:
        """Cut a sound into what the text model sees of it. Releases the GIL.

        Args:
            samples: mono, float32 in the machine's byte order, at :attr:`sample_rate`; two or more.

        Returns:
            In order: token ids of the text around the sound, and its windows.

        Raises:
            ValueError: there are too few samples, or the projector takes no sound.
            NativeError: mtmd refuses the sound, or the text model lacks tokens that it needs.

        Source: ``mtmd_tokenize_from_parts``.
        """

@disjoint_base
class MediaChunk:
    """A piece of a picture or a sound that is computed as a whole; :class:`Projector` makes it."""

    @property
    def n_tokens(self) -> int:
        """KV cells that it takes."""

    @property
    def n_pos(self) -> int:
        """Positions that it takes; with M-RoPE not as many as cells.

        Source: ``mtmd_input_chunk_get_n_pos``.
        """

    @property
    def is_causal(self) -> bool:
        """Whether each of its tokens sees only those before it; else it must fit a micro-batch.

        Source: ``mtmd_decode_use_non_causal``.
        """

    def encode(self) -> bytes:
        """Compute its embeddings. Releases the GIL.

        Returns:
            float32 in the machine's byte order, shape (n_tokens, n_embd).

        Raises:
            NativeError: the encoder failed.

        Source: ``mtmd_encode_chunk``.
        """

    def decode(self, context: Context, embeddings: bytes, start: int, seq_id: int) -> int:
        """Compute its KV cells. Releases the GIL; the context's thread alone may call it.

        Args:
            context: a context of the model that the projector was loaded for.
            embeddings: what :meth:`encode` returned.
            start: position of its first token, the next free one of the sequence.
            seq_id: the sequence.

        Returns:
            ``DECODE_OK``, ``DECODE_NO_KV_CELLS`` or ``DECODE_ABORTED``; where it is not OK, any
            part of it may have been computed.

        Raises:
            ValueError: the context is another model's, there is no such sequence, the embeddings
                are those of something else, or a chunk that is not causal exceeds a micro-batch.
            NativeError: llama.cpp refuses the batch.

        Source: ``mtmd_helper_decode_image_chunk`` (tools/mtmd/mtmd-helper.h).
        """
