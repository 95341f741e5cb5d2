"""OpenAI's Responses dialect: items in, items out, and answers that are kept for the next one."""
