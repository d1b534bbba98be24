"""The control plane: what it costs beside bare FastAPI, and how it starts and follows."""
