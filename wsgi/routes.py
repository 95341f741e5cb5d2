"""All routes, each with what is said of it: the application and its documentation are made of this.

A route that is not in this table does not exist, so none can lack its documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from .anthropic.messages import Messages, TokenCount
from .anthropic.parse import COUNT_FIELDS, MESSAGES_FIELDS
from .docs.page import DocsPage
from .native.embeddings import EMBEDDINGS_FIELDS as ROWS_FIELDS
from .native.embeddings import EmbeddingRows
from .native.health import Health
from .native.metrics import MetricsEndpoint
from .native.props import Props
from .native.tokens import (
    DETOKENIZE_FIELDS,
    TOKENIZE_FIELDS,
    ApplyTemplate,
    Detokenize,
    Tokenize,
)
from .ollama.chat import OllamaChat
from .ollama.embed import EMBED_FIELDS, Embed, SingleEmbedding
from .ollama.embed import EMBEDDINGS_FIELDS as EMBEDDING_FIELDS
from .ollama.encode import NDJSON
from .ollama.generate import Generate
from .ollama.models import SHOW_FIELDS, Running, Show, Tags, Version
from .ollama.parse_chat import CHAT_FIELDS as OLLAMA_CHAT_FIELDS
from .ollama.parse_generate import GENERATE_FIELDS
from .openai.chat import ChatCompletions
from .openai.completions import Completions
from .openai.embeddings import EMBEDDINGS_FIELDS, EmbeddingVectors
from .openai.models import Models
from .openai.parse_chat import CHAT_FIELDS
from .openai.parse_completion import COMPLETION_FIELDS
from .openapi import Document, OpenApi
from .operations import Operation, Route, counts, generates, reads, uploads_a_file
from .page.routes import page_routes
from .paths import HEALTH, METRICS, UPLOAD
from .responses.parse import INPUT_TOKENS_FIELDS, RESPONSES_FIELDS
from .responses.responses import Responses
from .webui.api_chat import ApiChat
from .webui.chat import WebChat
from .webui.models import LOAD_FIELDS, ModelList, ModelLoad
from .webui.parse import CHAT_FIELDS as WEBUI_CHAT_FIELDS
from .webui.queue_status import QueueStatus
from .webui.render import RENDER_FIELDS, Render
from .webui.sessions import Sessions, SessionStore
from .webui.upload import UploadEndpoint
from .webui.uploads import UploadStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .host import Host

_OPENAI, _ANTHROPIC, _OLLAMA = "OpenAI", "Anthropic", "Ollama"
_WEBUI, _NATIVE, _SERVER = "web UI", "llama-server", "server"


def routes(host: Host) -> tuple[Route, ...]:
    """Return the routes of an application that serves a host's model."""
    openai = (*_chat(host), *_responses(host))
    others = (*_anthropic(host), *_ollama(host), *_webui(host), *_native(host))
    served = (*openai, *others, *page_routes(), *_server(host))
    return (*served, *_documentation(served))


def _chat(host: Host) -> tuple[Route, ...]:
    chat, models = ChatCompletions(host), Models(host)
    return (
        Route(
            paths=("/v1/chat/completions", "/chat/completions"),
            tag=_OPENAI,
            resource=chat,
            operations=generates("The next message of a chat", CHAT_FIELDS, "openai.chat"),
        ),
        Route(
            paths=("/v1/chat/completions/input_tokens", "/chat/completions/input_tokens"),
            tag=_OPENAI,
            resource=chat,
            suffix="input_tokens",
            operations=counts("How many tokens a chat is", CHAT_FIELDS, "openai.input_tokens"),
        ),
        Route(
            paths=("/v1/completions",),
            tag=_OPENAI,
            resource=Completions(host),
            operations=generates("What follows a text", COMPLETION_FIELDS, "openai.completion"),
        ),
        Route(
            paths=("/v1/embeddings",),
            tag=_OPENAI,
            resource=EmbeddingVectors(host),
            operations=counts(
                "What texts mean, as vectors", EMBEDDINGS_FIELDS, "openai.embeddings", also=(429,)
            ),
        ),
        Route(
            paths=("/v1/models", "/models"),
            tag=_OPENAI,
            resource=models,
            operations=reads("The models, of which there is one", "openai.models"),
        ),
        Route(
            # A model's name may hold slashes.
            paths=("/v1/models/{model_id:path}", "/models/{model_id:path}"),
            tag=_OPENAI,
            resource=models,
            suffix="one",
            operations=reads("The model, by its name", "openai.model", also=(404,)),
        ),
    )


def _responses(host: Host) -> tuple[Route, ...]:
    responses = Responses(host)
    kept = "responses.response"
    forget = Operation(
        summary="Forget an answer", answer="responses.deleted", errors=(403, 404, 500)
    )
    return (
        Route(
            paths=("/v1/responses", "/responses"),
            tag=_OPENAI,
            resource=responses,
            operations=generates("An answer to an input", RESPONSES_FIELDS, kept, also=(404,)),
        ),
        Route(
            paths=("/v1/responses/input_tokens", "/responses/input_tokens"),
            tag=_OPENAI,
            resource=responses,
            suffix="count",
            operations=counts(
                "How many tokens an input is",
                INPUT_TOKENS_FIELDS,
                "responses.input_tokens",
                also=(404,),
            ),
        ),
        Route(
            paths=("/v1/responses/{response_id}", "/responses/{response_id}"),
            tag=_OPENAI,
            resource=responses,
            suffix="one",
            operations={**reads("An answer that is kept", kept, also=(404,)), "DELETE": forget},
        ),
    )


def _anthropic(host: Host) -> tuple[Route, ...]:
    count = "How many tokens a conversation is"
    return (
        Route(
            paths=("/v1/messages",),
            tag=_ANTHROPIC,
            resource=Messages(host),
            operations=generates(
                "The next message of a conversation", MESSAGES_FIELDS, "anthropic.message"
            ),
        ),
        Route(
            paths=("/v1/messages/count_tokens",),
            tag=_ANTHROPIC,
            resource=TokenCount(host),
            operations=counts(count, COUNT_FIELDS, "anthropic.input_tokens"),
        ),
    )


def _ollama(host: Host) -> tuple[Route, ...]:
    chat = generates(
        "The next message of a chat",
        OLLAMA_CHAT_FIELDS,
        "ollama.chat",
        also=(404,),
        stream_type=NDJSON,
    )
    text = generates(
        "An answer to a text",
        GENERATE_FIELDS,
        "ollama.generated",
        also=(404,),
        stream_type=NDJSON,
    )
    embed = counts(
        "What texts mean, as vectors", EMBED_FIELDS, "ollama.embeddings", also=(404, 429)
    )
    embedding = counts(
        "What a text means, as a vector", EMBEDDING_FIELDS, "ollama.embedding", also=(404, 429)
    )
    show = counts("What is known of the model", SHOW_FIELDS, "ollama.shown", also=(404,))
    resources: tuple[tuple[tuple[str, ...], object, dict[str, Operation]], ...] = (
        (("/api/chat/ollama",), OllamaChat(host), chat),
        (("/api/generate",), Generate(host), text),
        (("/api/embed",), Embed(host), embed),
        (("/api/embeddings",), SingleEmbedding(host), embedding),
        (("/api/tags",), Tags(host), reads("The models, of which there is one", "ollama.tags")),
        (("/api/ps",), Running(host), reads("The models in memory", "ollama.running")),
        (("/api/show",), Show(host), show),
        (("/api/version",), Version(host), reads("The server's version", "ollama.version")),
    )
    return tuple(
        Route(paths=paths, tag=_OLLAMA, resource=resource, operations=operations)
        for paths, resource, operations in resources
    )


def _native(host: Host) -> tuple[Route, ...]:
    return (
        Route(
            paths=("/embeddings", "/embedding"),
            tag=_NATIVE,
            resource=EmbeddingRows(host),
            operations=counts(
                "What texts mean, or their tokens", ROWS_FIELDS, "native.embeddings", also=(429,)
            ),
        ),
        Route(
            paths=("/tokenize",),
            tag=_NATIVE,
            resource=Tokenize(host),
            operations=counts("A text to token ids", TOKENIZE_FIELDS, "native.tokens"),
        ),
        Route(
            paths=("/detokenize",),
            tag=_NATIVE,
            resource=Detokenize(host),
            operations=counts("Token ids to their text", DETOKENIZE_FIELDS, "native.content"),
        ),
        Route(
            paths=("/apply-template",),
            tag=_NATIVE,
            resource=ApplyTemplate(host),
            operations=counts("A chat to what the model is given", CHAT_FIELDS, "native.prompt"),
        ),
        Route(
            paths=("/props",),
            tag=_NATIVE,
            resource=Props(host),
            operations=reads("What the model takes, and the server's limits", "native.props"),
        ),
    )


def _webui(host: Host) -> tuple[Route, ...]:
    sessions, uploads = SessionStore(), UploadStore()
    chat = ApiChat(OllamaChat(host), WebChat(host, sessions, uploads))
    answered = generates(
        "As events, the next message of a chat; a body with a `model` is Ollama's",
        WEBUI_CHAT_FIELDS,
        "webui.chat",
        also=(404,),
    )
    new = Operation(summary="A new session", answer="webui.session", errors=(403, 500))
    gone = "webui.deleted_session"
    forget = Operation(summary="Forget a session", answer=gone, errors=(400, 403, 404, 500))
    models = Operation(summary="The model and its state", answer="webui.models", errors=(500,))
    load = counts("Load the model anew", LOAD_FIELDS, "webui.loaded", also=(404,))
    queue = reads("Whether requests wait", "webui.queue")
    upload = uploads_a_file("A file for a message", "webui.upload")
    render = counts("Markdown to HTML", RENDER_FIELDS, "webui.rendered")
    resources: tuple[tuple[str, object, str | None, Mapping[str, Operation]], ...] = (
        ("/api/chat", chat, None, answered),
        ("/api/sessions", Sessions(sessions), None, {"POST": new}),
        ("/api/sessions/{session_id}", Sessions(sessions), "one", {"DELETE": forget}),
        ("/api/queue/status", QueueStatus(host), None, queue),
        ("/api/models", ModelList(host), None, {"GET": models}),
        ("/api/models/load", ModelLoad(host), None, load),
        (UPLOAD, UploadEndpoint(host, uploads), None, upload),
        ("/api/render", Render(), None, render),
    )
    return tuple(
        Route(paths=(path,), tag=_WEBUI, resource=resource, suffix=suffix, operations=operations)
        for path, resource, suffix, operations in resources
    )


def _server(host: Host) -> tuple[Route, ...]:
    metrics = Operation(
        summary="Counts in Prometheus' text format, with --metrics",
        media_type=CONTENT_TYPE_PLAIN_0_0_4,
        errors=(500, 501, 503),
    )
    return (
        Route(
            paths=HEALTH,
            tag=_SERVER,
            resource=Health(host),
            operations=reads("Whether requests are taken", "native.health"),
        ),
        Route(
            paths=METRICS,
            tag=_SERVER,
            resource=MetricsEndpoint(host),
            operations={"GET": metrics},
        ),
    )


def _documentation(served: tuple[Route, ...]) -> tuple[Route, ...]:
    document = Document()
    page = Operation(summary="The same as a page to read", media_type=falcon.MEDIA_HTML)
    made = (
        Route(
            paths=("/openapi.json",),
            tag=_SERVER,
            resource=OpenApi(document),
            operations={"GET": Operation(summary="This API as an OpenAPI 3.1 document")},
        ),
        Route(
            paths=("/docs",),
            tag=_SERVER,
            resource=DocsPage(document),
            operations={"GET": page},
        ),
    )
    document.routes = (*served, *made)
    return made
