"""What makes a training ill, and what asks it to stop."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from stormcast_tw.errors import BadInput
from stormcast_tw.training import checkpoint
from stormcast_tw.training.health import Limits, TrainingIll, Watch, on_signals

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def watch(**limits: float) -> Watch:
    return Watch(Limits(windows=3, **limits), Path("run"), lambda _: 10 << 30)


def windows(looking: Watch, losses: list[float], speeds: list[float], first: int = 0) -> None:
    for update, (loss, speed) in enumerate(zip(losses, speeds, strict=True), start=first):
        looking.window(update, loss, speed)


def test_a_loss_that_falls_and_flickers_is_fine():
    windows(watch(divergence=3.0), [1.0, 0.8, 4.0, 0.7, 0.6, 0.9, 5.0, 0.6, 0.5], [100.0] * 9)


def test_a_loss_that_grows_is_divergence():
    with pytest.raises(TrainingIll, match=r"update 5: the loss is 2, was 0\.5; allowed 3 times that") as caught:
        windows(watch(divergence=3.0), [0.5, 0.5, 0.5, 1.0, 2.0, 4.0], [100.0] * 6)
    assert caught.value.what == "divergence"
    assert caught.value.exit_code == 1


def test_falling_throughput_is_ill_but_the_slow_first_window_and_a_hiccup_are_not():
    looking = watch(throughput=0.25)
    windows(looking, [1.0] * 6, [1.0, 100.0, 100.0, 100.0, 5.0, 100.0])
    with pytest.raises(
        TrainingIll, match=r"update 8: 20 samples a second, were 100; allowed a share of 0\.25"
    ) as caught:
        windows(looking, [1.0] * 3, [20.0] * 3, first=8)
    assert caught.value.what == "throughput"


def test_too_many_gradients_that_are_not_finite_are_ill():
    watch(skipped_in_a_row=3).skipped(2, 7)
    with pytest.raises(TrainingIll, match="update 8: 3 gradients in a row were not finite"):
        watch(skipped_in_a_row=3).skipped(3, 8)


def test_a_disk_with_little_left_is_ill():
    looking = Watch(Limits(free_bytes=1000), Path("run"), lambda _: 999)
    with pytest.raises(TrainingIll, match="run: 999 bytes are free; allowed 1,000") as caught:
        looking.window(1, 1.0, 1.0)
    assert caught.value.what == "disk"


def test_a_checkpoint_comes_back_whole_and_nothing_is_left_aside(tmp_path: Path):
    path = tmp_path / "regression.pt"
    assert checkpoint.read(path, CPU) is None
    checkpoint.write(path, {"update": 3, "network": {"w": torch.arange(4.0)}})
    found = checkpoint.read(path, CPU)
    assert found is not None
    assert found["update"] == 3
    torch.testing.assert_close(found["network"]["w"], torch.arange(4.0))
    assert [p.name for p in tmp_path.iterdir()] == ["regression.pt"]


def test_a_checkpoint_that_the_disk_does_not_take_leaves_the_one_before(tmp_path: Path):
    """A real limit on the size of files: the kernel refuses the bytes with EFBIG."""
    path = tmp_path / "regression.pt"
    checkpoint.write(path, {"update": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(TrainingIll, match="the disk is full; the checkpoint before stays") as caught:
            checkpoint.write(path, {"update": 2, "network": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.what == "disk"
    assert checkpoint.read(path, CPU) == {"update": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["regression.pt"]


def test_other_errors_of_a_checkpoint_are_what_they_are(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists") as caught:
        checkpoint.write(tmp_path / "file" / "regression.pt", {})
    assert caught.value.errno in (errno.ENOTDIR, errno.EEXIST)


@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_half_a_checkpoint_is_refused_by_name(tmp_path: Path, keep: float):
    path = tmp_path / "regression.pt"
    checkpoint.write(path, {"update": 1, "network": torch.zeros(1000)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(BadInput, match=r"regression\.pt: is not a whole checkpoint"):
        checkpoint.read(path, CPU)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_only_ask_and_handlers_come_back(number: signal.Signals):
    before = signal.getsignal(number)
    with on_signals() as stop:
        assert stop.asked == ""
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert stop.asked == number.name
    assert signal.getsignal(number) == before


def test_a_stall_is_recorded_and_ends_the_process_though_it_hangs(tmp_path: Path):
    program = (
        "import sys, time; from pathlib import Path; from stormcast_tw.training.health import no_stall\n"
        "with no_stall(Path(sys.argv[1]), 3.0) as beat:\n"
        "    for _ in range(4): time.sleep(0.5); beat()\n"
        "    print('alive', flush=True)\n"
        "    time.sleep(100)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1
    assert done.stdout == "alive\n", "beats keep it alive"
    assert "time.sleep" in done.stderr or "line 5" in done.stderr, "where it stands"
    ill = json.loads((tmp_path / "ill.json").read_text())
    assert ill["event"] == "training.ill"
    assert ill["what"] == "stall"
    assert "allowed 3" in ill["text"]
