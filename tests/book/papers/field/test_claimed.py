"""What is printed of the losses, beside what is found here."""

from dataclasses import replace

import numpy as np
import pytest
from tests.book.papers.made import results

from marginface.book import published
from marginface.book.papers.field.bench import BENCH
from marginface.book.papers.field.claimed import beside, printed, without
from marginface.book.papers.field.methods import METHODS

pytestmark = pytest.mark.usefixtures("chosen")


def test_every_number_is_the_printed_one() -> None:
    table = published.table("field", 1)
    percent = table.metric.str.endswith("_pct").map({True: 1.0, False: 100.0})
    assert (table.value_printed.astype(float) * percent - table.value).abs().max() < 1e-9
    assert len(table) == len(table.drop_duplicates(["source", "train_set", "loss", "benchmark", "metric"]))
    arcface = table.groupby(["source", "train_set", "benchmark"]).arcface.nunique()
    assert (arcface == 1).all(), "losses beside one ArcFace"
    assert set(printed().loss) <= METHODS.keys()
    numbers = printed()[["value", "arcface"]].to_numpy(dtype=np.float64)
    assert ((numbers > 0) & (numbers < 100)).all()


def test_the_same_change_as_the_bench_has_of_interfaces_table() -> None:
    """The bench has it of two tests alone, which it has itself."""
    own = printed().query("loss == 'ElasticFace-Arc' and source == 'InterFace, Table VI, quoted' and test in ('LFW', 'CFP-FP')")
    share = published.share(own.value.tolist(), own.arcface.tolist())
    claim = next(each for each in results(BENCH, lambda row: 0.1).judged() if each.claim.row == "ElasticFace-Arc")
    assert share == pytest.approx(claim.claim.printed)


def test_who_trained_arcface_is_said() -> None:
    found = {who: set(own["ArcFace trained"]) for who, own in printed().groupby(["loss", "source"])}
    assert found["MagFace", "InterFace, Table VII, quoted"] == {"by the same people"}
    assert found["MagFace", "InterFace, Table VI, quoted"] == {"by others"}
    assert found["CircleLoss", "Circle loss, Table 2"] == {"by the same people"}
    assert found["InterFace", "InterFace, Table VI"] == {"by others"}
    assert found["CosFace", "InterFace, Table VII, quoted"] == {"by the same people"}


def test_rates_are_told_apart() -> None:
    tests = printed().query("loss == 'MagFace' and source == 'InterFace, Table VII, quoted'").test
    assert sorted(tests) == sorted(f"{name} at 1e-{n}" for name in ("IJB-B", "IJB-C") for n in (4, 5, 6))


def test_a_line_has_what_is_found_here_on_every_bed() -> None:
    first, second = results(BENCH, lambda row: 0.1), results(BENCH, lambda row: 0.1, draw=1)
    found = replace(first, beds={"glyphs": second}).effects().effects
    here = {(each.bed, each.claim.text): each.difference for each in found}
    table = beside(found)
    assert list(dict.fromkeys(table.loss)) == [name for name in METHODS if name in set(table.loss)]
    line = table.set_index("loss").loc["Dyn-ArcFace"]
    assert line["here, faces"] == here["faces", "Dyn-ArcFace over ArcFace"]
    assert line["here, glyphs"] == here["glyphs", "Dyn-ArcFace over ArcFace"]
    assert line.tests == "LFW, AgeDB-30, CFP-FP"
    assert line.printed.startswith("+")


def test_what_nobody_sets_beside_arcface_is_named() -> None:
    assert "SphereFace2" in without()
    assert set(without()) | set(printed().loss) == METHODS.keys() - {"ArcFace"}
