"""A compact convolutional network on every fold, for images."""

from tasks.networks.model import Model

__all__ = ["Model"]
