# SPDX-License-Identifier: GPL-2.0-or-later
"""KVM is used where a stock kernel was seen to run under it, and that is tried once for each boot of the machine."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from backstay.host.process import Completed, ProcessTimedOut
from backstay.lab.progress import Progress
from backstay.lab.vm import acceleration

Patch = pytest.MonkeyPatch


@pytest.fixture
def image(monkeypatch: Patch, tmp_path: Path) -> Path:
    monkeypatch.setattr(acceleration, "DEVICE", tmp_path / "kvm")
    monkeypatch.setattr(acceleration, "BOOT_ID", tmp_path / "boot_id")
    (tmp_path / "kvm").touch()
    (tmp_path / "boot_id").write_text("first\n")
    return tmp_path


class Trial:
    """The emulator, as it ends."""

    def __init__(self, said: str = "", *, hangs: bool = False) -> None:
        self.said, self.hangs, self.times = said, hangs, 0

    def __call__(self, argv: list[str], *, timeout: float) -> Completed:
        self.times += 1
        assert timeout == acceleration.SECONDS
        if self.hangs:
            raise ProcessTimedOut(argv, timeout)
        return Completed(argv, 0, self.said, "failed to set MSR")


def choose(image: Path, monkeypatch: Patch, trial: Trial) -> tuple[str, str]:
    monkeypatch.setattr(acceleration, "run", trial)
    told = io.StringIO()
    return acceleration.choose(image, Progress(told)), told.getvalue()


def test_a_kernel_that_runs_is_what_counts(image: Path, monkeypatch: Patch) -> None:
    trial = Trial(f"\r\n{acceleration.SAYS}\r\n")
    assert choose(image, monkeypatch, trial)[0] == "kvm"
    assert choose(image, monkeypatch, trial)[0] == "kvm"
    assert trial.times == 1


@pytest.mark.parametrize("trial", [Trial(hangs=True), Trial("something else")])
def test_a_kernel_that_says_nothing_is_emulated(image: Path, monkeypatch: Patch, trial: Trial) -> None:
    accelerator, told = choose(image, monkeypatch, trial)
    assert accelerator == "tcg"
    assert "no kernel runs under /dev/kvm" in told


def test_another_boot_of_the_machine_tries_again(image: Path, monkeypatch: Patch) -> None:
    assert choose(image, monkeypatch, Trial(hangs=True))[0] == "tcg"
    (image / "boot_id").write_text("second\n")
    assert choose(image, monkeypatch, Trial(acceleration.SAYS))[0] == "kvm"


def test_without_the_device_nothing_is_tried(image: Path, monkeypatch: Patch) -> None:
    (image / "kvm").unlink()
    trial = Trial(acceleration.SAYS)
    assert choose(image, monkeypatch, trial)[0] == "tcg"
    assert trial.times == 0
