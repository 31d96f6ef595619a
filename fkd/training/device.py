"""The accelerator: noticed by the driver, it must be noticed by the framework too."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from fkd.core.errors import UserError
from fkd.core.lean_keras import WHY_THIS_BACKEND, keras
from fkd.experiment.training import Precision, Training

# Of its share of a GPU's memory a process takes this much: CUDA itself needs some.
_USED_OF_SHARE = 0.9

_LEAST_AUGMENTING_THREADS = 2

# Linux tells here what a processor can do, and calls bfloat16 so: Intel and AMD, Intel's matrices, ARM.
CPU_INFO = Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}

# The instructions that oneDNN, TensorFlow's library of convolutions, may use where a person limits them.
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_LIMITS_WITH_BFLOAT16 = re.compile("DEFAULT|ALL|.*(BF16|FP16|AMX|AVX10).*", re.IGNORECASE)


def prepare_device(training: Training) -> str:
    """Describe the device that will train, and make its rounding repeatable where that is asked for.

    Raises UserError as `require_visible_gpu` does, and where a framework cannot promise determinism.
    """
    device = require_visible_gpu()
    if training.deterministic:
        _make_deterministic()
    return f"{device}{precision_note(training.precision)}"


def precision_here(asked: Precision) -> Precision:
    """The precision of training steps here: float32 where a processor without bfloat16 would emulate it.

    That takes ten times as long as float32. Systems other than Linux do not tell, and are believed. Also
    float32 where oneDNN is limited to instructions without bfloat16: it would refuse a convolution.
    """
    if asked != "mixed_bfloat16" or visible_gpus():
        return asked
    if not all(_LIMITS_WITH_BFLOAT16.fullmatch(os.environ.get(limit, "DEFAULT")) for limit in _LIMITS):
        return "float32"
    if not CPU_INFO.is_file():
        return asked
    return asked if _BFLOAT16 & set(CPU_INFO.read_text().split()) else "float32"


def precision_note(asked: Precision) -> str:
    """What to report after the device where its precision is another than asked for."""
    here = precision_here(asked)
    return "" if here == asked else f", in {here}: no instructions for bfloat16 here"


def take_share(cpus: int | None, gpu_memory: float = 1.0) -> None:
    """Limit the threads, None for one per core, and the share of every visible GPU's memory.

    gpu_memory: 1 for all. To be called before anything is computed; with another backend than TensorFlow it
    does nothing. Raises UserError where this process has computed with another number of threads.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    try:
        if cpus:
            tf.config.threading.set_intra_op_parallelism_threads(cpus)
        if gpu_memory < 1:
            for gpu, memory_mib in zip(
                tf.config.list_physical_devices("GPU"), _gpu_memory_mib(), strict=True
            ):
                limit = tf.config.LogicalDeviceConfiguration(_USED_OF_SHARE * gpu_memory * memory_mib)
                tf.config.set_logical_device_configuration(gpu, [limit])
    except RuntimeError as error:
        raise UserError(
            f"resources.cpus: expected as many as this process has computed with, received {cpus}; train "
            "experiments with other numbers in separate commands"
        ) from error


def augmenting_threads(members_at_once: int = 1) -> int:
    """How many threads prepare the batches of a member: its share of the cores that this process may use.

    At least two, as one that waits for memory leaves its core to the other.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cores = tf.config.threading.get_intra_op_parallelism_threads() or cores
    return max(_LEAST_AUGMENTING_THREADS, cores // members_at_once)


def hide_gpus() -> None:
    """Leave the GPUs to the processes that train; this one computes next to nothing."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")


def require_visible_gpu() -> str:
    """Describe the device that will train; raises UserError if the driver shows a GPU and Keras does not.

    Hiding the GPU with CUDA_VISIBLE_DEVICES=-1 trains on the CPU on purpose.
    """
    gpus = visible_gpus()
    backend = keras.backend.backend()
    if gpus:
        return f"{len(gpus)} GPU(s) through {backend} ({WHY_THIS_BACKEND})"
    hidden_on_purpose = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if (names := gpus_of_the_driver()) and not hidden_on_purpose:
        raise UserError(
            f"the driver shows a GPU ({names[0]}) and {backend} does not: install requirements/gpu.txt "
            "(make: rm -r .venv and start again), or set CUDA_VISIBLE_DEVICES=-1 to train on the CPU"
        )
    return f"{os.cpu_count()} CPU cores through {backend} ({WHY_THIS_BACKEND})"


def _make_deterministic() -> None:
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"training.deterministic: expected the TensorFlow backend, received {keras.backend.backend()}; "
            "set it to false or unset KERAS_BACKEND"
        )
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def visible_gpus() -> list[str]:
    """GPUs that the Keras backend can use."""
    return [device for device in keras.distribution.list_devices() if device.lower().startswith("gpu")]


def cuda_devices() -> list[str]:
    """What CUDA calls the GPUs that this process may use."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return [str(i) for i in range(len(gpus_of_the_driver()))]
    return [device for device in allowed.split(",") if device not in ("", "-1")]


def gpus_of_the_driver() -> list[str]:
    """GPUs that nvidia-smi lists, one line each; none where there is no driver."""
    if not (command := shutil.which("nvidia-smi")):
        return []
    listing = subprocess.run([command, "-L"], capture_output=True, text=True, check=False)
    return [line for line in listing.stdout.splitlines() if line.startswith("GPU ")]


def _gpu_memory_mib() -> list[int]:
    """The whole memory of every GPU that CUDA_VISIBLE_DEVICES names."""
    question = ["--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    command = ["nvidia-smi", f"--id={','.join(cuda_devices())}", *question]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(line) for line in answer.stdout.split()]
