"""Drafts for speculative decoding: llama-common's lookups of n-grams in what was said before."""

from typing_extensions import disjoint_base

from pyllama._ext.options import Options

@disjoint_base
class NgramLookup:
    """Guesses how sequences go on, from n-grams that occurred before. Belongs to one thread.

    A lane follows one sequence from :meth:`begin` to :meth:`end`. The kind ``ngram-mod`` shares
    what it has seen between all lanes, the others do not.

    Args:
        options: options whose ``--spec-type`` names n-gram kinds and no others.
        n_lanes: sequences to follow at the same time.

    Raises:
        NativeError: no kind or another one is asked for, or there is no lane.

    Source: ``common_speculative_init`` (common/speculative.h).
    """

    def __new__(cls, options: Options, n_lanes: int) -> NgramLookup: ...
    @property
    def n_lanes(self) -> int:
        """Sequences that it follows at the same time."""

    def begin(self, lane: int, prompt: list[int]) -> None:
        """Follow a new sequence, whatever the lane followed before. Releases the GIL.

        Args:
            lane: 0 to ``n_lanes`` - 1.
            prompt: all its tokens so far, shape (n_tokens,).

        Raises:
            NativeError: there is no such lane.

        Source: ``common_speculative_begin``.
        """

    def draft(self, lane: int, tokens: list[int], n_max: int) -> tuple[int, ...]:
        """Append what a sequence grew by; guess the next tokens. Releases the GIL.

        Args:
            lane: the sequence's lane.
            tokens: tokens since :meth:`begin` or the last draft, shape (n_tokens,).
            n_max: most tokens to guess.

        Returns:
            Token ids, shape (n_draft,); none where nothing like the end occurred before,
            and none before the first token after the prompt.

        Raises:
            ValueError: ``n_max`` is negative.
            NativeError: there is no such lane, or it follows no sequence.

        Source: ``common_speculative_draft``.
        """

    def accept(self, lane: int, n_accepted: int) -> None:
        """Tell how many tokens of the last draft were right: the lookups learn from it.

        Raises:
            ValueError: no draft is as long as that.
            NativeError: there is no such lane.

        Source: ``common_speculative_accept``.
        """

    def end(self, lane: int) -> None:
        """Forget a lane's sequence.

        Raises:
            NativeError: there is no such lane.
        """
