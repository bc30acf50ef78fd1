"""A perceptron with two hidden layers on every fold."""

from tasks.networks.model import Model

__all__ = ["Model"]
