"""A loaded model: its weights and its metadata. Read-only, so any thread may use it."""

from os import PathLike

from typing_extensions import disjoint_base

from pyllama._ext.options import Options

@disjoint_base
class Model:
    """Weights, loaded as the options say. Freed with the last reference to it.

    Loading blocks for seconds and releases the GIL.

    Args:
        path: the GGUF file; of a model in several parts, the first.
        options: finished by this call, if they are not yet; cancelling them ends the load.
        is_trial: read all but the weights' values: whether the file can be loaded, at little cost.
            There can be no context of it.

    Raises:
        ConfigError: the options contradict each other.
        NativeError: llama.cpp could not load the file. Its reason is in the log.
        ValueError: the path holds a NUL character.

    Source: ``llama_model_load_from_file``.
    """

    def __new__(
        cls, path: str | PathLike[str], options: Options, *, is_trial: bool = False
    ) -> Model: ...
    @property
    def path(self) -> str:
        """The file that was loaded."""

    def metadata(self) -> dict[str, str]:
        """Return the GGUF's key-value pairs, arrays as llama.cpp prints them.

        Source: ``llama_model_meta_count``, ``llama_model_meta_key_by_index``,
        ``llama_model_meta_val_str_by_index``.
        """

    @property
    def description(self) -> str:
        """Architecture, size and quantisation in a few words (``llama 135M Q4_K``).

        Source: ``llama_model_desc``.
        """

    @property
    def n_ctx_train(self) -> int:
        """Context length that the model was trained for, in tokens.

        Source: ``llama_model_n_ctx_train``.
        """

    @property
    def n_embd(self) -> int:
        """Width of the hidden state.

        Source: ``llama_model_n_embd``.
        """

    @property
    def n_embd_out(self) -> int:
        """Width of an embedding.

        Source: ``llama_model_n_embd_out``.
        """

    @property
    def n_layer(self) -> int:
        """Layers.

        Source: ``llama_model_n_layer``.
        """

    @property
    def n_head(self) -> int:
        """Attention heads of the first layer.

        Source: ``llama_model_n_head``.
        """

    @property
    def n_head_kv(self) -> int:
        """Key-value heads of the first layer.

        Source: ``llama_model_n_head_kv``.
        """

    @property
    def n_swa(self) -> int:
        """Width of the sliding attention window in tokens, 0 where there is none.

        Source: ``llama_model_n_swa``.
        """

    @property
    def n_params(self) -> int:
        """Weights in all.

        Source: ``llama_model_n_params``.
        """

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors.

        Source: ``llama_model_size``.
        """

    @property
    def has_encoder(self) -> bool:
        """Whether the model has an encoder.

        Source: ``llama_model_has_encoder``.
        """

    @property
    def has_decoder(self) -> bool:
        """Whether the model has a decoder: only then can it generate.

        Source: ``llama_model_has_decoder``.
        """

    @property
    def is_recurrent(self) -> bool:
        """Whether its memory is a state instead of KV cells (Mamba, RWKV).

        Source: ``llama_model_is_recurrent``.
        """

    @property
    def is_hybrid(self) -> bool:
        """Whether its memory is both a state and KV cells (Jamba, Granite).

        Source: ``llama_model_is_hybrid``.
        """

    @property
    def is_diffusion(self) -> bool:
        """Whether it generates by diffusion, not token by token.

        Source: ``llama_model_is_diffusion``.
        """
