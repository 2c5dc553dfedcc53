"""Rollouts of a trained policy in the simulator, under each condition.

    python -m experiments.policy.evaluation WEIGHTS FILE --size 96 --rollouts 40

In a process of its own, on one thread; several run beside each other.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.policy.looks import CONDITIONS, Look, changed_look
from experiments.policy.simulator import Array, Simulator, Start, random_start

FIRST_TEST = 10_000
"""Seed of the first test's start and look; demonstrations have those from 0."""
LONGEST = 40
"""Periods after which a rollout has failed; a demonstration has about 17."""
Chunk = Callable[[NDArray[np.uint8], Array], Array]
"""From an image [H, W, 3] and a state [5] to the next actions [N, 4]."""


def rollout(simulator: Simulator, policy: Chunk, start: Start, look: Look) -> bool:
    """Whether the policy lifts the cube."""
    simulator.look(look)
    simulator.reset(start)
    periods = 0
    while periods < LONGEST:
        for action in policy(simulator.image(), simulator.state):
            simulator.step(action)
            periods += 1
            if simulator.lifted:
                return True
            if periods == LONGEST:
                break
    return False


def successes(simulator: Simulator, policy: Chunk, count: int) -> dict[str, list[bool]]:
    """By condition the success of each rollout; all conditions have the same starts."""
    tests = range(FIRST_TEST, FIRST_TEST + count)
    return {
        condition: [
            rollout(simulator, policy, random_start(n), changed_look(condition, n)) for n in tests
        ]
        for condition in CONDITIONS
    }


def trained_policy(weights: Path) -> Chunk:
    """A policy of lerobot that was saved in a folder."""
    import torch
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors

    torch.set_num_threads(1)
    policy = ACTPolicy.from_pretrained(weights).eval()
    before, after = make_pre_post_processors(policy.config, str(weights))

    def chunk(image: NDArray[np.uint8], state: Array) -> Array:
        batch = {
            'observation.images.camera': torch.from_numpy(image.copy()).permute(2, 0, 1) / 255,
            'observation.state': torch.from_numpy(state.astype(np.float32)),
        }
        with torch.inference_mode():
            actions = after(policy.predict_action_chunk(before(batch)))
        found = actions.reshape(-1, actions.shape[-1])[: policy.config.n_action_steps]
        return found.numpy().astype(np.float64)

    return chunk


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate one policy, and write the successes as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('weights', type=Path)
    parser.add_argument('file', type=Path)
    parser.add_argument('--size', type=int, required=True)
    parser.add_argument('--rollouts', type=int, required=True)
    args = parser.parse_args(arguments)
    found = successes(Simulator(args.size), trained_policy(args.weights), args.rollouts)
    partial = args.file.with_suffix('.partial')
    partial.write_text(json.dumps(found) + '\n')
    partial.replace(args.file)
    return 0


if __name__ == '__main__':
    sys.exit(main())
