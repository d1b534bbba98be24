"""The messages of proto/plait/v1, generated: `make proto`."""
