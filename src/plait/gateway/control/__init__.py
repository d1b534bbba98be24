"""The control plane: what people and programs ask of the platform over HTTP."""
