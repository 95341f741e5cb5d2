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
        self,
        tokens: list[int],
        start: int,
        count: int,
        seq_id: int,
        wants_logits: bool,
        n_skipped: int = 0,
    ) -> int:
        """Append ``tokens[start : start + count]`` of one sequence.

        The ids themselves are checked by :meth:`Context.decode`, which knows the vocabulary.

        Args:
            tokens: the whole sequence, shape (n_tokens,); the index is the position, less what is
                skipped.
            start: first token to compute.
            count: tokens to compute, at least 1.
            seq_id: sequence whose KV cells they extend.
            wants_logits: whether the last of them gets a row of logits.
            n_skipped: how many more tokens than positions lie before ``start``, where media do.

        Returns:
            The batch row of the last token added; :func:`sample_rows` takes it.

        Raises:
            ValueError: the range is not inside ``tokens``, more is skipped than there is, or the
                batch is too small. The batch is unchanged.
        """

    def add_draft(self, draft: tuple[int, ...], start: int, seq_id: int) -> None:
        """Append guessed tokens behind those of :meth:`add`, each with a row of logits.

        Args:
            draft: token ids, shape (n_draft,).
            start: position of the first.
            seq_id: sequence whose KV cells they extend.

        Raises:
            ValueError: the position is negative, or the batch is too small. The batch is unchanged.
        """

    def want_logits(self, row: int, count: int) -> None:
        """Ask for the logits of ``count`` rows of the batch, from ``row`` on.

        Raises:
            ValueError: the batch has no such rows.
        """
