"""The losses of a run come back from its checkpoint as they were."""

import math

import stand_in
import torch

from splice.running.loss_table import LossTable


def test_history_survives_its_checkpoint():
    loss_table = LossTable()
    for step, losses in enumerate(
        [{"a": torch.tensor(0.1)}, {"a": 1 / 3, "b": float("nan")}, {}, {"b": torch.tensor(2.0)}], 1
    ):
        loss_table.add(stand_in.Step(step, 9, losses, 0.25 * step, step == 2, "bfloat16"))
    restored = LossTable.restored(loss_table.state())
    assert restored.csv() == loss_table.csv()
    assert restored.rows[1]["a"] == 1 / 3
    assert math.isnan(restored.rows[1]["b"])
    assert "b" not in restored.rows[0]
    assert restored.last() == {"a": 1 / 3, "b": 2.0}
    assert restored.seconds() == 0.25 + 0.5 + 0.75 + 1.0
    assert restored.skipped() == 1
    assert restored.precision() == "bfloat16"
    assert LossTable.restored(LossTable().state()).csv() == "step,seconds,skipped,precision\n"
