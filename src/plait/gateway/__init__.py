"""The data plane: endpoints answered by workflows, over a lean HTTP/1.1 of its own."""
