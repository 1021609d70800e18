"""The record of a batch: how each pair ended, and what a kill costs."""

import json
import math

import pytest

from splice.batch import Began, Ended, Journal, read_journal
from splice.errors import InputError

# The record.


def test_the_journal_tells_how_each_pair_ended_and_the_last_line_counts(tmp_path):
    with Journal(tmp_path / "out") as journal:
        journal.skip("line 3: no picture")
        journal.add(Began("a", 0, 3))
        journal.add(Ended("a", "failed", 1, 0.5, "the disk burns", "Traceback"))
        journal.add(Ended("b", "finished", 3, 2.0, scores={"texture": 0.5, "colour": math.nan}))
        with pytest.raises(InputError, match="another batch is writing"):
            Journal(tmp_path / "out")
    with Journal(tmp_path / "out") as journal:
        journal.add(Ended("a", "finished", 3, 3.0, worker="machine 7"))
    lines = (tmp_path / "out" / "batch.jsonl").read_text().splitlines()
    fail = pytest.fail
    rows = [json.loads(line, parse_constant=lambda name: fail(name)) for line in lines]
    assert [row["state"] for row in rows] == ["skipped", "failed", "finished", "finished"]
    assert rows[0]["reason"] == "line 3: no picture"
    assert rows[1]["reason"] == "the disk burns"
    last = read_journal(tmp_path / "out")
    assert set(last) == {"a", "b"}
    assert last["a"]["worker"] == "machine 7"
    assert last["b"]["scores"] == {"texture": 0.5, "colour": None}


def test_a_line_that_a_kill_cut_short_costs_that_line_alone(tmp_path):
    with Journal(tmp_path) as journal:
        journal.add(Ended("a", "finished"))
    with journal.path.open("ab") as file:
        file.write(b'{"pair": "b", "sta')
    with Journal(tmp_path) as journal:
        journal.add(Ended("c", "finished"))
    assert set(read_journal(tmp_path)) == {"a", "c"}
    assert read_journal(tmp_path / "nowhere") == {}
