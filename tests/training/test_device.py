import os
import subprocess
import sys
from pathlib import Path

import pytest

from fkd.core.errors import UserError
from fkd.core.lean_keras import keras
from fkd.experiment.training import Precision, Training
from fkd.training import device

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="it is TensorFlow's threads and memory that are limited"
)


@pytest.fixture
def driver_shows_a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "gpus_of_the_driver", lambda: ["GPU 0: Some Card"])
    monkeypatch.setattr(device, "visible_gpus", list)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("driver_shows_a_gpu")
def test_a_gpu_that_only_the_driver_sees_stops_the_training():
    with pytest.raises(UserError, match=r"the driver shows a GPU \(GPU 0: Some Card\) and \w+ does not"):
        device.require_visible_gpu()


@pytest.mark.usefixtures("driver_shows_a_gpu")
def test_a_gpu_hidden_on_purpose_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CPU" in device.require_visible_gpu()


def test_a_gpu_that_both_see_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "visible_gpus", lambda: ["gpu:0"])
    assert device.require_visible_gpu().startswith("1 GPU(s)")


def test_determinism_is_refused_where_it_cannot_be_promised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(UserError, match="expected the TensorFlow backend, received jax"):
        device.prepare_device(Training(deterministic=True))


@pytest.mark.parametrize(
    ("flags", "asked", "here"),
    [
        ("flags : fma avx2", "mixed_bfloat16", "float32"),
        ("flags : avx2 avx512_bf16", "mixed_bfloat16", "mixed_bfloat16"),
        ("flags : amx_bf16 amx_tile", "mixed_bfloat16", "mixed_bfloat16"),
        ("Features : asimd i8mm bf16", "mixed_bfloat16", "mixed_bfloat16"),
        ("flags : fma avx2", "mixed_float16", "mixed_float16"),
    ],
)
def test_bfloat16_is_not_emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, asked: Precision, here: Precision
):
    (tmp_path / "cpuinfo").write_text(f"model name : Some Processor\n{flags}\n")
    monkeypatch.setattr(device, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(device, "visible_gpus", list)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert device.precision_here(asked) == here
    said = ", in float32: no instructions for bfloat16 here"
    assert device.prepare_device(Training(precision=asked)).endswith(said) == (here != asked)
    monkeypatch.setattr(device, "visible_gpus", lambda: ["gpu:0"])
    assert device.precision_here(asked) == asked


def test_a_system_that_does_not_tell_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "CPU_INFO", tmp_path / "nought")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert device.precision_here("mixed_bfloat16") == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("limit", "here"),
    [
        ("default", "mixed_bfloat16"),
        ("AVX512_CORE_BF16", "mixed_bfloat16"),
        ("AVX512_CORE_AMX", "mixed_bfloat16"),
        ("AVX512_CORE", "float32"),
        ("AVX2", "float32"),
    ],
)
@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_no_bfloat16_where_onednn_may_not_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, limit: str, here: Precision
):
    monkeypatch.setattr(device, "CPU_INFO", tmp_path / "nought")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setenv(variable, limit)
    assert device.precision_here("mixed_bfloat16") == here
    assert device.precision_here("mixed_float16") == "mixed_float16"


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.which", lambda command: None)
    assert device.gpus_of_the_driver() == []


@on_tensorflow
def test_threads_are_taken_before_anything_is_computed():
    script = (
        "import sys;"
        "from fkd.training.device import augmenting_threads, take_share; import tensorflow as tf;"
        "take_share(1); take_share(1);"
        "assert not {'sklearn', 'jax'} & set(sys.modules);"  # they take longer to load than all of fkd
        "print(tf.config.threading.get_intra_op_parallelism_threads(), augmenting_threads());"
        "tf.constant(1.0); take_share(2)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "1 2\n"
    assert "UserError: resources.cpus: expected as many as this process has computed with, received 2" in (
        done.stderr
    )


@pytest.mark.parametrize(("cores", "members", "threads"), [(16, 1, 16), (16, 4, 4), (16, 50, 2), (1, 1, 2)])
def test_members_share_the_cores_that_prepare_their_batches(
    monkeypatch: pytest.MonkeyPatch, cores: int, members: int, threads: int
):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    assert device.augmenting_threads(members) == threads


def test_cuda_names_the_gpus_that_may_be_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "gpus_of_the_driver", lambda: ["GPU 0: Some Card", "GPU 1: Some Card"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert device.cuda_devices() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert device.cuda_devices() == ["1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert device.cuda_devices() == []


@on_tensorflow
def test_a_share_of_a_gpu_is_a_limit_of_its_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    nvidia_smi = tmp_path / "nvidia-smi"
    nvidia_smi.write_text("#!/bin/sh\n[ $1 = --id=3 ] && echo 1000\n")
    nvidia_smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    limits: list[tuple[str, float]] = []
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["card"])
    monkeypatch.setattr(
        "tensorflow.config.set_logical_device_configuration",
        lambda card, configurations: limits.append((card, configurations[0].memory_limit)),
    )
    device.take_share(None, gpu_memory=0.5)
    assert limits == [("card", 450.0)]  # 0.9 x 0.5 x 1,000 MiB
