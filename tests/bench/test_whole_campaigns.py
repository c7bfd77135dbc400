"""The benchmark of whole campaigns in short: what it counts must be right at any speed."""

from pathlib import Path

from bench.whole_campaigns import Figures, measure


async def test_a_small_campaign_is_taken_away_copied_called_again_and_cancelled(tmp_path: Path) -> None:
    found = await measure("SQLite", f"sqlite+aiosqlite:///{tmp_path}/breeze.db", 600)
    names = ["results, a row a lead", "results, a row a call", "clone", "redial", "cancel"]
    assert [figures.what for figures in found] == names
    for figures in found:
        assert figures.done == 600, figures.what
        assert figures.peak_mib >= figures.at_tenth_mib > 20
        assert figures.others_ms_max >= figures.others_ms_p99 > 0
        assert [what for what in figures.wrong if " s for " not in what] == []


def test_a_wrong_run_is_told_from_a_good_one() -> None:
    good = Figures("SQLite", "clone", 100_000, 100_000, 20.0, 15.0, 120.0, 130.0, 20.0, 50.0)
    assert good.wrong == []
    bad = Figures("SQLite", "clone", 100_000, 99_999, 61.0, 15.0, 120.0, 300.0, 20.0, 50.0)
    for what, words in zip(bad.wrong, ("99999 of 100000", "61.0 s", "300 MiB"), strict=True):
        assert words in what
