"""Resident memory of a process, as Linux counts it."""

from pathlib import Path

PROC = Path("/proc")


def resident_memory(pid: int | str = "self") -> int:
    """Memory in bytes that the process holds now.

    Raises:
        OSError: where there is no such process, or no Linux.
    """
    return _status(pid, "VmRSS")


def peak_resident_memory(pid: int | str = "self") -> int:
    """Largest memory in bytes that the process has held since its start, or the last reset.

    Raises:
        OSError: where there is no such process, or no Linux.
    """
    return _status(pid, "VmHWM")


def reset_peak() -> None:
    """Let this process's peak begin anew, at what it holds now.

    Raises:
        OSError: where the system does not allow it.
    """
    (PROC / "self" / "clear_refs").write_text("5")


def _status(pid: int | str, name: str) -> int:
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has ended")
