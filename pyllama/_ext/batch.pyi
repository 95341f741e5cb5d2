"""The tokens that one llama_decode computes. Belongs to one thread."""

from typing_extensions import disjoint_base

@disjoint_base
class Batch:
    """A reusable list of (token, position, sequence id, wants logits).

    Args:
        capacity: most tokens it can hold, at least 1; memory for all of them is taken at once.

    Raises:
        ValueError: the capacity is below 1.

    Source: ``llama_batch``, ``llama_batch_init``.
    """

    def __new__(cls, capacity: int) -> Batch: ...
    def __len__(self) -> int:
        """Return the tokens added since :meth:`clear`."""

    @property
    def capacity(self) -> int:
        """Most tokens it can hold."""

    def clear(self) -> None:
        """Drop all tokens."""

    def add(
        self, tokens: list[int], start: int, count: int, seq_id: int, wants_logits: bool
    ) -> int:
        """Append ``tokens[start : start + count]`` of one sequence, at positions from ``start``.

        The ids themselves are checked by :meth:`Context.decode`, which knows the vocabulary.

        Args:
            tokens: the whole sequence, shape (n_tokens,); the index is the position.
            start: first token to compute.
            count: tokens to compute, at least 1.
            seq_id: sequence whose KV cells they extend.
            wants_logits: whether the last of them gets a row of logits.

        Returns:
            The batch row of the last token added; :func:`sample_rows` takes it.

        Raises:
            ValueError: the range is not inside ``tokens``, or the batch is too small for it. The
                batch is unchanged.
        """

    def want_logits(self, row: int, count: int) -> None:
        """Ask for the logits of ``count`` rows of the batch, from ``row`` on.

        Raises:
            ValueError: the batch has no such rows.
        """
