"""The benchmark of uploads in short: what it counts must be right at any speed."""

from pathlib import Path

from bench.upload import Figures, measure


async def test_a_short_file_brings_every_lead_once_and_can_be_watched(tmp_path: Path) -> None:
    figures = await measure("SQLite", f"sqlite+aiosqlite:///{tmp_path}/breeze.db", 3000)
    assert (figures.accepted, figures.refused, figures.again_accepted) == (2970, 30, 0)
    assert figures.rss_peak_mb >= figures.rss_at_tenth_mb > 20
    assert figures.others_ms_max >= figures.others_ms_p99 > 0
    assert [what for what in figures.wrong if " s for " not in what] == []


def test_a_wrong_run_is_told_from_a_good_one() -> None:
    good = Figures("SQLite", 100_000, 99_000, 1000, 20.0, 5000.0, 15.0, 150.0, 160.0, 170.0, 20.0, 50.0, 10.0, 0)
    assert good.wrong == []
    bad = Figures("SQLite", 100_000, 98_000, 1000, 31.0, 3200.0, 15.0, 150.0, 160.0, 300.0, 20.0, 50.0, 10.0, 5)
    for what, words in zip(bad.wrong, ("98000 accepted", "again", "31.0 s", "300 MB"), strict=True):
        assert words in what
