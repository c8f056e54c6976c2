"""The table of PAM with many classes is what its benchmark has written."""

from marginface.book.papers.pam import size


def test_the_table_has_a_column_a_number_of_classes_and_every_measured_share() -> None:
    runs, table = size.measured().to_dict("records"), size.table()
    assert list(table.columns[1:]) == [f"{run['characters']:,} classes" for run in runs]
    for place, run in enumerate(runs, 1):
        shown = " ".join(table.iloc[:, place])
        for share in ("v1_right", "v1_classes", "v2_nearest_centre"):
            assert f"{run[share]:.0%}" in shown
        assert f"{run['v1_MB']:.0f} and {run['v2_MB']:.0f} MB" in shown
    assert f"{runs[0]['threads']} thread of {runs[0]['device']}" in size.machine()
