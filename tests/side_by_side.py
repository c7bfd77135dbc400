"""Tests in two processes at a time (`make test`): which stay together, which begin, and which run alone.

The tests of a file stay together, for what they share is set up once for each process. Those of some files share no
more than the session does, and take long: they go to whoever is free. Tests of the whole stack mostly wait and so
come first; those marked `alone` measure time or fill the machine: they come last, and nothing runs beside them.
A file that has one of those belongs among the files below, otherwise it runs in the middle and the others wait.
"""

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SPREAD = (
    "tests/bench/test_leads.py",
    "tests/end_to_end/test_inbound.py",
    "tests/end_to_end/test_kills.py",
    "tests/end_to_end/test_recording.py",
    "tests/end_to_end/test_transfer.py",
    "tests/end_to_end/test_transfer_parting.py",
    "tests/end_to_end/test_turns.py",
    "tests/media/test_speech.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> tuple[bool, bool]:
        return _is_alone(item), "end_to_end" not in item.path.parts

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return nodeid if file in SPREAD else file

    config.option.loadscopereorder = False  # the order of above
    return ByFile(config, log)


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.pluginmanager.register(Turns(worker["testrunuid"]), "turns")


class Turns:
    """A lock that the processes of one run share: held together by all tests, by one that runs alone for itself."""

    def __init__(self, run: str) -> None:
        self._path = Path(tempfile.gettempdir()) / f"breeze-tests-{run}.lock"
        self._file = self._path.open("w")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX if _is_alone(item) else fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def pytest_unconfigure(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None
