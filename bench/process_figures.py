"""What the operating system says of a process: the CPU it has used and the memory it holds (Linux, /proc)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_MIB = 1024 * 1024


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process and its threads have used so far, in user and kernel mode together."""
    # The second field is the program's name in brackets, and may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def memory_mib(pid: int) -> float:
    """Memory of its own that a process holds in RAM."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") / _MIB


@dataclass(frozen=True, slots=True)
class CpuReading:
    """CPU of several processes by name, at one moment."""

    used_s: Mapping[str, float]

    @classmethod
    def of(cls, pids: Mapping[str, int]) -> Self:
        return cls({name: cpu_s(pid) for name, pid in pids.items()})

    def since(self, earlier: Self) -> dict[str, float]:
        """Seconds used between two readings, by name."""
        return {name: used - earlier.used_s[name] for name, used in self.used_s.items()}


def machine() -> str:
    """The machine and how busy it is, for the head of a table."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in facts if "model name" in line), "unknown processor")
    return f"{os.cpu_count()} cores of {model}; load average {' '.join(f'{load:.1f}' for load in os.getloadavg())}"
