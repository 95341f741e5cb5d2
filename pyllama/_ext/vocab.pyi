"""A model's vocabulary: text to tokens and back. Read-only, so any thread may use it."""

from collections.abc import Collection

from typing_extensions import disjoint_base

from pyllama._ext.model import Model

@disjoint_base
class Vocab:
    """A model's vocabulary; keeps the model alive.

    Token ids outside of ``[0, n_tokens)`` raise ``ValueError``, beyond 32 bits ``OverflowError``.

    Raises:
        ModelLoadError: the model has no vocabulary.

    Source: ``llama_model_get_vocab``.
    """

    def __new__(cls, model: Model) -> Vocab: ...
    @property
    def n_tokens(self) -> int:
        """Token ids in all.

        Source: ``llama_vocab_n_tokens``.
        """

    def tokenize(
        self, text: str, *, add_special: bool = False, parse_special: bool = False
    ) -> list[int]:
        """Cut a text into tokens. Releases the GIL.

        Args:
            text: any text; a lone surrogate counts as the three bytes that encode it.
            add_special: put BOS and EOS where the model wants them.
            parse_special: read the text of control tokens as these tokens, not as plain text.

        Raises:
            OverflowError: the text has more than 1 GiB.
            NativeError: the tokeniser failed.

        Source: ``llama_tokenize``.
        """

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Return one token's bytes, which may be a part of a character.

        Args:
            token: the token id.
            special: return a control token's text; else that is empty.

        Source: ``llama_token_to_piece``.
        """

    def pieces(self, *, special: bool = False) -> list[bytes]:
        """Return every token's bytes, by token id."""

    def detokenize(self, tokens: Collection[int], *, special: bool = False) -> bytes:
        """Return the bytes of some tokens. Releases the GIL.

        Unlike joined pieces, it leaves out the space that some vocabularies put before a text.

        Args:
            tokens: token ids, shape (n_tokens,).
            special: include the text of control tokens.

        Source: ``llama_detokenize``.
        """

    def eog_tokens(self) -> frozenset[int]:
        """Return the tokens that end a generation.

        Source: ``llama_vocab_is_eog``.
        """

    def is_control(self, token: int) -> bool:
        """Return whether a token controls instead of standing for text.

        Source: ``llama_vocab_is_control``.
        """

    @property
    def bos(self) -> int | None:
        """Token that begins a text, if there is one.

        Source: ``llama_vocab_bos``.
        """

    @property
    def eos(self) -> int | None:
        """Token that ends a text, if there is one.

        Source: ``llama_vocab_eos``.
        """

    @property
    def eot(self) -> int | None:
        """Token that ends a turn, if there is one.

        Source: ``llama_vocab_eot``.
        """

    @property
    def infill(self) -> tuple[int, int, int] | None:
        """Tokens before a prefix, a suffix and the middle to be written, if there are all three.

        Source: ``llama_vocab_fim_pre``, ``llama_vocab_fim_suf``, ``llama_vocab_fim_mid``.
        """

    @property
    def adds_bos(self) -> bool:
        """Whether ``add_special`` puts BOS first.

        Source: ``llama_vocab_get_add_bos``.
        """

    @property
    def adds_eos(self) -> bool:
        """Whether ``add_special`` puts EOS last.

        Source: ``llama_vocab_get_add_eos``.
        """
