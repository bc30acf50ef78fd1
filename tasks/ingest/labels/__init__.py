"""The labels of a source: which there are, how they are written, and where several people gave them."""
