"""Resources of a process from /proc: memory, file handles, threads, processor time."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

KIB_PER_MIB = 1024
SHARED = Path('/dev/shm')
FAST_DDS = ('fastrtps_', 'fastdds_', 'sem.fastrtps_', 'sem.fastdds_')
TICKS = os.sysconf('SC_CLK_TCK')


def memory_mb(pid: int) -> dict[str, float]:
    """Resident (rss), proportional (pss), unshared (uss) and anonymous (anon) memory, MiB.

    pss and uss depend on other processes that map the same libraries; rss and anon do not. Raises
    OSError if the process has ended.
    """
    kib: dict[str, int] = {}
    for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()[1:]:
        name, _, rest = line.partition(':')
        kib[name] = int(rest.split()[0])
    uss = kib['Private_Clean'] + kib['Private_Dirty']
    amounts = {'rss': kib['Rss'], 'pss': kib['Pss'], 'uss': uss, 'anon': kib['Anonymous']}
    return {name: round(amount / KIB_PER_MIB, 2) for name, amount in amounts.items()}


def handles(pid: int) -> int:
    """Number of open file handles of a process. Raises OSError."""
    return len(os.listdir(f'/proc/{pid}/fd'))


def threads(pid: int) -> int:
    """Number of threads of a process. Raises OSError."""
    return len(os.listdir(f'/proc/{pid}/task'))


def cpu_s(pid: int) -> float:
    """Processor time of a process, s. Raises OSError."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def waited_s(pid: int) -> float:
    """Time that the threads of a process waited for a processor, s.

    Raises OSError if the process or one of its threads has ended.
    """
    tasks = Path(f'/proc/{pid}/task').iterdir()
    return sum(int((task / 'schedstat').read_text().split()[1]) for task in tasks) * 1e-9


def machine_busy_s() -> float:
    """Processor time of all processes of this machine, s."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = (
        int(v) for v in Path('/proc/stat').read_text().split('\n', 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / TICKS


def segment_paths(pid: int) -> set[Path]:
    """Shared-memory files of Fast DDS that a process has mapped. Raises OSError."""
    found = set()
    for line in Path(f'/proc/{pid}/maps').read_text().splitlines():
        path = Path(line.split(None, 5)[-1])
        if path.parent == SHARED and path.name.startswith(FAST_DDS):
            found.add(path)
    return found


def segments_in_use() -> set[Path]:
    """Shared-memory files that any process visible to this one has mapped."""
    found: set[Path] = set()
    for folder in Path('/proc').glob('[0-9]*'):
        with suppress(OSError):  # the process has ended
            found |= segment_paths(int(folder.name))
    return found


def gpu_mb(pid: int) -> float | None:
    """GPU memory of a process, MiB; None without nvidia-smi."""
    if shutil.which('nvidia-smi') is None:
        return None
    query = ['nvidia-smi', '--query-compute-apps=pid,used_memory', '--format=csv,noheader,nounits']
    output = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False).stdout
    rows = [line.split(',') for line in output.splitlines() if ',' in line]
    return sum(float(used) for number, used in rows if int(number) == pid)
