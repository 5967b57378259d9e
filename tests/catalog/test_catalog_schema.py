from __future__ import annotations

from pathlib import Path

from newtest.study import Study


def test_a_name_is_looked_up_beside_the_summary_and_not_in_it(tmp_path: Path) -> None:
    """Storing 120,000 members took 18 s and not 0.5 while each of them read two megabytes of their revision's row."""
    with Study(tmp_path, create=True) as study:
        tables = {
            row["name"]: row["wr"] for row in map(dict, study.catalog.execute("PRAGMA main.table_list"))
        }
        plan = study.catalog.execute("EXPLAIN QUERY PLAN SELECT 1 FROM revisions WHERE name = 'a'").fetchone()
        unnamed = study.catalog.execute(
            "SELECT \"notnull\" FROM pragma_table_info('revisions') WHERE pk"
        ).fetchone()
    assert tables["revisions"] == 0, "WITHOUT ROWID: each row that refers to it reads the whole of it"
    assert tables["revision_members"] == 1, "a member is found by its key alone"
    assert "USING COVERING INDEX" in plan["detail"]
    assert unnamed[0] == 1
