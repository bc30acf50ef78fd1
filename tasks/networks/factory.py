"""From `--model` to a function that makes networks, checked before anything is trained.

A model of the user's own is the one place where the user's code runs: `package.module:factory` is imported, from the
working directory too, and called.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from tasks.errors import InputError
from tasks.heads.feature_map import FeatureMap
from tasks.heads.features import MemoryFeatures
from tasks.heads.flat_network import make_flat_network
from tasks.networks.architecture import split_network

Factory = Callable[[tuple[int, ...], int], nn.Module]

SIGNATURE = "def factory(feature_shape: tuple[int, ...], n_classes: int) -> torch.nn.Module"
# Inputs that a new network is tried on: two, because a network may do something special with one.
PROBES = 2


def load_factory(model: str) -> Factory:
    """Return the user's own function that makes networks.

    Args:
        model: `package.module:factory`.

    Raises:
        InputError: There is no such module or function, or it cannot be called with (feature_shape, n_classes).
    """
    name, _, attribute = model.partition(":")
    module = _import(name, model)
    found = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise _make_error(model, f"module '{name}' has no function '{attribute}'")
    _check_signature(found, model)
    factory: Factory = found
    return factory


def _import(name: str, model: str) -> object:
    """Import a module of the user's, from the working directory too."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # and it stays: what the module imports when it is called is there too
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(missing + "."):
            raise _make_error(model, f"no module '{missing}' in {here} or on PYTHONPATH") from error
        raise _make_error(model, f"module '{name}' needs '{missing}', which is not installed") from error
    except (Exception, SystemExit) as error:  # what a user's module does on import is not ours to foresee
        raise _make_error(model, f"module '{name}' cannot be imported ({_shorten_error(error)})") from error


def _check_signature(found: Callable[..., object], model: str) -> None:
    try:
        inspect.signature(found).bind((1,), 2)
    except TypeError as error:
        wrong = f"cannot be called with (feature_shape, n_classes): {error}"
        raise _make_error(model, wrong) from error
    except ValueError:  # a callable without a signature to read: the call itself will tell
        return


def make_network(factory: Factory, model: str, feature_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Make one network; what it is, `check_factory` has looked at.

    Raises:
        InputError: The factory raised an exception, or returned something else than a module.
    """
    try:
        network = factory(feature_shape, n_classes)
    except Exception as error:
        raise _make_error(
            model, f"factory{feature_shape, n_classes} failed ({_shorten_error(error)})"
        ) from error
    if not isinstance(network, nn.Module):
        raise _make_error(model, f"the factory returned a {type(network).__name__}, not a torch.nn.Module")
    return network


def check_factory(factory: Factory, model: str, feature_shape: tuple[int, ...], n_classes: int) -> int:
    """Try a factory out: make a network, give it two inputs, find its last layer.

    Args:
        factory: What `load_factory` returned.
        n_classes: C.

    Returns:
        The number of penultimate features, h.

    Raises:
        InputError: The network is not a module, does not take such inputs, does not give (b, C) logits, or does not
            end in a linear layer.
    """
    with torch.random.fork_rng(devices=[]):
        network = make_network(factory, model, feature_shape, n_classes).eval()
        probe = torch.rand(PROBES, *feature_shape)
    logits = _try_network(network, probe, model)
    if not isinstance(logits, Tensor) or logits.shape != (PROBES, n_classes):
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        wanted = f"(batch, n_classes) = {PROBES, n_classes}"
        raise _make_error(model, f"the network returned {got} for {PROBES} inputs, not {wanted}")
    if not torch.is_floating_point(logits) or not torch.isfinite(logits).all():
        raise _make_error(model, "the network returned logits that are not finite floating point numbers")
    try:
        width = split_network(network, probe).head.in_features
    except InputError as error:
        raise _make_error(model, error.what) from error
    except Exception as error:
        wrong = f"the network cannot be used without its last layer ({_shorten_error(error)})"
        raise _make_error(model, wrong) from error
    with torch.random.fork_rng(devices=[]):
        _try_training(network, probe, model)
    return width


def _try_network(network: nn.Module, probe: Tensor, model: str) -> object:
    try:
        with torch.no_grad():
            return network(probe)
    except Exception as error:
        wrong = f"the network does not take inputs of shape {tuple(probe.shape)} ({_shorten_error(error)})"
        raise _make_error(model, wrong) from error


def _try_training(network: nn.Module, probe: Tensor, model: str) -> None:
    """Take one gradient as training does: of no parameters, or through layers that overwrite what it needs, there is none."""
    try:
        logits = network.train()(probe)
        nn.functional.cross_entropy(logits, torch.zeros(PROBES, dtype=torch.long)).backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise _make_error(model, f"the network cannot be trained ({_shorten_error(error)})") from error


def _shorten_error(error: BaseException) -> str:
    """Return an exception in one line of bounded length."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _make_error(model: str, what: str) -> InputError:
    return InputError(what, where=f"--model {model}", fix=f"write {SIGNATURE}, ending in torch.nn.Linear")


def check_derivatives(network: nn.Module, feature_shape: tuple[int, ...], model: str) -> None:
    """Try out whether torch can differentiate a network by all of its parameters in the ways that influences need.

    Raises:
        InputError: It cannot.
    """
    probe = torch.rand(2, *feature_shape)
    with torch.no_grad():
        network.eval()(probe)  # lazy layers learn their shape
    split = split_network(network, probe)
    width = split.head.in_features
    plain = FeatureMap("raw", torch.zeros(width), torch.ones(width))
    theta, raw = torch.zeros(width + 1, split.head.out_features), MemoryFeatures(probe.flatten(1))
    whole = make_flat_network(split.body, plain, theta, raw, lambda inputs: inputs)
    where, fix = f"--model {model} --params all", "use --params head"
    try:
        logits, _ = whole.derivative(probe, torch.ones_like(whole.parameters))
        whole.lengths(probe, torch.ones_like(logits)[:, None])
    except Exception as error:  # what a user's layers do is not ours to foresee
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"a layer cannot be differentiated in forward mode and by single samples ({type(error).__name__}: {said})",
            where=where,
            fix=fix,
        ) from error
