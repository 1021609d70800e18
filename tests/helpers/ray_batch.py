"""A batch on a Ray cluster of two nodes on this machine, one of which is killed midway.

Run as a program, in a process without the checks that tests put on every call: Ray looks into the
functions that it is given. Prints each event as a line of JSON;
exit status 77 where Ray does not start.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from splice.batch import plan_batch
from splice.batch.cluster import run_on_ray
from splice.pictures.pairs import plan_pairs
from splice.running.outputs import CHECKPOINT
from splice.running.presets import load_preset

CANNOT_START = 77
_NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


def main(pairs: Path, preset: Path, weights: str, output: Path) -> None:
    settings = load_preset(preset, {"weights": weights})
    plan = plan_batch(plan_pairs(pairs).pairs, settings, output)
    try:
        nodes = Cluster(initialize_head=True, head_node_args=_NODE)
        second = nodes.add_node(**_NODE)
        ray.init(address=nodes.address, log_to_driver=False, logging_level="error")
    except Exception as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT_START)
    killed = False

    def look() -> bool:
        # It is asked between events as well: checkpoints come back without one.
        nonlocal killed
        at_work = [task for task in plan.tasks if (task.folder / CHECKPOINT).is_file()]
        if not killed and len(at_work) == 2:
            nodes.remove_node(second, allow_graceful=False)
            killed = True
            _tell({"kind": "Killed"})
        return False

    for event in run_on_ray(plan.tasks, "auto", checkpoint_every=0.3, stop=look):
        _tell({"kind": type(event).__name__, **asdict(event)})
    ray.shutdown()
    nodes.shutdown()


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    source, preset, weights, output = sys.argv[1:]
    main(Path(source), Path(preset), weights, Path(output))
