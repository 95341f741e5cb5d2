"""Ollama's dialect: chats, texts, and what is said of the model."""
