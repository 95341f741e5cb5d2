"""OpenAI's dialect: chat completions, text completions and models, as llama-server extends it."""
