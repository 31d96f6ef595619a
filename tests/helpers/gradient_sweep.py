"""Gradients of small networks of every kind, by oneDNN under a guarded heap and without oneDNN.

    python tests/gradient_sweep.py --filters 17        (make gradients FILTERS=17)

oneDNN has code of its own for few channels and for each instruction set. Once it wrote a gradient over
other memory (uxlfoundation/oneDNN issue 6035), and the training went on. So every network is differentiated
three times, in processes of their own: without oneDNN, with all instructions of the processor, and with AVX2
at most; with glibc's checks of the heap where its library is found. What kills a process, or differs from
the first, is named.
"""

import argparse
import ctypes.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Of the gradient's norm: ReLUs open and close by rounding. What was written over differs by its own size.
TOLERANCE = 0.05
GUARDED = {"MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
INSTRUCTIONS = ("DEFAULT", "AVX2")  # of oneDNN's ONEDNN_MAX_CPU_ISA
BATCH = 5
LONGEST_S = 1200


def networks(filters: int) -> Iterator[dict[str, Any]]:
    """Networks of every kind whose levels have so few filters, the small kernels included."""
    for kernel in (1, 3):
        convolutions = [{"filters": filters, "kernel": kernel, "pool": 4}] * 2
        yield {"kind": "cnn", "convolutions": convolutions, "dense": [filters]}
        yield {"kind": "heatmap", "filters": [filters, filters], "kernel": kernel}
        for stem_kernel in (1, 5):
            sizes = {"kernel": kernel, "stem_kernel": stem_kernel, "output_level": 0}
            yield {"kind": "residual", "filters": [filters, filters + 1], **sizes}


def resnets() -> Iterator[dict[str, Any]]:
    """The ResNets, whose filters are fixed."""
    for depth in (18, 50):
        yield {"kind": "resnet", "depth": depth}


def gradients(network: dict[str, Any], precision: str) -> np.ndarray:
    """The gradients of all weights in one row, for faces that are the same in every process."""
    import keras
    import tensorflow as tf
    from pydantic import TypeAdapter

    from fkd.experiment.network import Network
    from fkd.training.networks.build import build_model

    keras.utils.clear_session()
    model = build_model(TypeAdapter(Network).validate_python(network), 2, (0,), precision)
    images = np.random.default_rng(0).random((BATCH, 96, 96, 1), np.float32)
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
        loss = tf.reduce_mean(outputs * np.random.default_rng(1).normal(size=outputs.shape))
    return np.concatenate([np.ravel(g) for g in tape.gradient(loss, model.trainable_weights)])


def differentiate(asked: list[tuple[dict[str, Any], str]], environment: dict[str, str]) -> list[np.ndarray]:
    """The gradients of all networks, made by one process; AssertionError names the one that killed it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gradients.npz"
        done = subprocess.run(
            [sys.executable, __file__, "--into", str(path)],
            input=json.dumps(asked),
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,  # a heap that is written over may hang
            check=False,
        )
        last = done.stdout.splitlines()[-1:]
        assert done.returncode == 0, f"{last}, {environment}: status {done.returncode}\n{done.stderr}"
        with np.load(path) as arrays:
            return [arrays[f"arr_{i}"] for i in range(len(asked))]


def differences(asked: list[dict[str, Any]]) -> list[str]:
    """The networks whose gradients oneDNN makes otherwise than TensorFlow alone, in words; none at best.

    In bfloat16, where the processor has it, they are made, and not compared: its rounding is too coarse.
    """
    from fkd.training.device import precision_here

    expected = differentiate([(network, "float32") for network in asked], {"TF_ENABLE_ONEDNN_OPTS": "0"})
    guard = GUARDED
    if library := ctypes.util.find_library("c_malloc_debug"):
        guard = GUARDED | {"LD_PRELOAD": library}
    found = []
    for instructions in INSTRUCTIONS:
        precisions = ["float32"]
        if instructions == "DEFAULT" and precision_here("mixed_bfloat16") == "mixed_bfloat16":
            precisions.append("mixed_bfloat16")
        pairs = [(network, precision) for precision in precisions for network in asked]
        received = differentiate(pairs, guard | {"ONEDNN_MAX_CPU_ISA": instructions})
        for network, a, b in zip(asked, received, expected, strict=False):
            error = np.linalg.norm(a - b) / np.linalg.norm(b)
            if not error <= TOLERANCE:
                found.append(f"{network} with {instructions}: gradients differ by {error:.2g} of their norm")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, default=17, help="from 1 to so many")
    parser.add_argument("--into", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.into:
        # Keras and TensorFlow load them where they are installed, which takes seconds.
        sys.modules |= {"sklearn": None, "jax": None}
        rows = []
        for network, precision in json.load(sys.stdin):
            print(network, precision, flush=True)
            rows.append(gradients(network, precision))
        np.savez(arguments.into, *rows)
        return
    asked = [network for filters in range(1, arguments.filters + 1) for network in networks(filters)]
    asked += resnets()
    found = differences(asked)
    print("\n".join(found) or f"{len(asked)} networks: the same gradients with oneDNN and without it")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
