"""A conversation in two steps: the model asks for a tool, gets its result, and answers.

Start a server (``pyllama serve``), then run ``python examples/tool_call.py [address]``. Nothing
but Python's standard library is needed: the server speaks OpenAI's API.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather in a city now.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def get_weather(city: str) -> dict[str, Any]:
    """Tell the weather; a real tool would ask someone who knows."""
    return {"city": city, "sky": "sunny", "celsius": 21}


def chat(address: str, messages: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    """Return the next message of a conversation."""
    body = json.dumps({"messages": messages, "temperature": 0, "max_tokens": 100, **options})
    request = urllib.request.Request(f"{address}/v1/chat/completions", body.encode())
    with urllib.request.urlopen(request, timeout=120) as response:
        message: dict[str, Any] = json.load(response)["choices"][0]["message"]
        return message


def main(address: str) -> None:
    """Ask about the weather in Paris, and show every message."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is the weather in Paris?"},
    ]
    # "required" makes even a small model call; "auto" leaves it the choice.
    asked = chat(address, messages, tools=[WEATHER], tool_choice="required")
    messages.append(asked)
    for call in asked["tool_calls"]:
        result = get_weather(**json.loads(call["function"]["arguments"]))
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)})
    messages.append(chat(address, messages, tools=[WEATHER], tool_choice="none"))
    for message in messages:
        print(json.dumps(message))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
