"""The table of PAM with many classes is what its benchmark has written."""

from marginface.book.papers.pam import size


def test_the_table_has_a_column_a_number_of_classes_and_every_measured_share() -> None:
    runs, table = size.measured(), size.table()
    assert list(table.columns[1:]) == [f"{int(count):,} classes" for count in runs["characters"]]
    for column, run in zip(table.columns[1:], runs.itertuples(), strict=True):
        shown = " ".join(table[column])
        for share in (run.v1_right, run.v1_classes, run.v2_nearest_centre):
            assert f"{share:.0%}" in shown
        assert f"{run.v1_MB:.0f} and {run.v2_MB:.0f} MB" in shown
    assert str(runs.threads[0]) in size.machine()
