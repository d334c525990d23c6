"""The machine: file locks, quotas, memory, destinations, home directories."""

import argparse
import errno
import fcntl
import logging
import os

import pytest

from lctr_jax.host import cgroups, file_locks, paths, resources


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_warned_of_once(tmp_path, monkeypatch, caplog, number):
    def refuse(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(file_locks, "_warned", set())
    with caplog.at_level(logging.WARNING), (tmp_path / "lock").open("w") as file:
        assert not file_locks.lock_exclusively(file, wait=False, risk="do not share it")
        assert not file_locks.lock_exclusively(file, wait=True, risk="do not share it")
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path}: this file system has no locks (")
    assert message.endswith("; do not share it")


def test_other_faults_of_locking_are_raised(tmp_path, monkeypatch):
    def refuse(file, operation):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / "lock").open("w") as file, pytest.raises(OSError, match="Input/output"):
        file_locks.lock_exclusively(file, wait=True, risk="")


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_quota_and_memory_of_version_2_are_the_smallest_up_the_tree(tmp_path):
    root, own = tmp_path / "fs", tmp_path / "own"
    own.write_text("0::/job/step\n")
    write(root, cpu__max="max 100000")
    write(root / "job", cpu__max="250000 100000", memory__max="1000", memory__current="400")
    (root / "job" / "memory.stat").write_text("anon 1\ninactive_file 100\n")
    write(root / "job/step", cpu__max="max 100000", memory__max="max", memory__current="300")
    assert cgroups.cpu_quota(root, own) == 2.5
    assert cgroups.memory_left(root, own) == 700


def test_quota_and_memory_of_version_1(tmp_path):
    root, own = tmp_path / "fs", tmp_path / "own"
    own.write_text("4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n")
    write(root / "cpu", cpu__cfs_quota_us="150000", cpu__cfs_period_us="100000")  # a container's own view
    write(
        root / "memory/docker/abc",
        memory__limit_in_bytes="5000",
        memory__usage_in_bytes="1000",
        memory__stat="total_inactive_file 10",
    )
    assert cgroups.cpu_quota(root, own) == 1.5
    assert cgroups.memory_left(root, own) == 4010


def test_no_control_groups_are_no_limit(tmp_path):
    assert cgroups.cpu_quota(tmp_path, tmp_path / "own") is None
    assert cgroups.memory_left(tmp_path, tmp_path / "own") is None


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (2.5, 2), (0.5, 1), (64.0, 8)])
def test_usable_cores(monkeypatch, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: quota)
    assert resources.usable_cores() == cores


def test_memory_and_shared_memory_of_this_machine(tmp_path):
    assert (resources.available_memory() or 0) > 0
    assert resources.free_shared_memory(tmp_path) > 0
    assert resources.free_shared_memory(tmp_path / "none") == 0


def test_home_is_expanded_or_missed_in_one_line(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(paths.path_argument("~/runs")) == "/home/somebody/runs"
    assert paths.expand_text("~/runs") == "/home/somebody/runs"
    assert paths.expand_text("hf://owner/name") == "hf://owner/name"
    with pytest.raises(argparse.ArgumentTypeError, match="~nobody_of_that_name/x: the home folder"):
        paths.path_argument("~nobody_of_that_name/x")


def test_destinations_of_files(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    paths.require_file_destination(tmp_path / "new.json")
    paths.require_file_destination(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match=r"folder .*none does not exist; create it: mkdir -p"):
        paths.require_file_destination(tmp_path / "none" / "new.json")
    with pytest.raises(NotADirectoryError, match="is a file, expected a folder"):
        paths.require_file_destination(tmp_path / "file" / "new.json")
    with pytest.raises(IsADirectoryError, match="expected the name of a file"):
        paths.require_file_destination(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="is not writable"):
        paths.require_file_destination(tmp_path / "new.json")


def test_destinations_of_folders(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    paths.require_folder_destination(tmp_path / "a" / "b")
    with pytest.raises(NotADirectoryError, match="file is not a folder"):
        paths.require_folder_destination(tmp_path / "file" / "b")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="is not writable"):
        paths.require_folder_destination(tmp_path / "a" / "b")
