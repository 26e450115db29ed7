"""The U-Net imported in part is the U-Net imported whole, and nothing of the short cut stays behind."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import hashlib, sys
import torch
torch.set_num_threads(1)

def said():
    from stormcast_tw.model.architecture import Architecture, Channels
    from stormcast_tw.model.network import build, for_inference
    torch.manual_seed(3)
    size = Architecture(model_channels=16, channel_mult=(1, 2), num_blocks=1, attn_resolutions=(8,))
    outputs = hashlib.sha256()
    for role in ("regression", "diffusion"):
        network = for_inference(build(role, size, Channels(state=2, condition=3), (32, 32), 2))
        x, condition = torch.randn(2, 8, 16, 16), torch.randn(2, 12, 16, 16)
        noise = torch.tensor([0.1, 3.0])
        y = network(condition, torch.zeros(2)) if role == "regression" else network(x, noise, condition)
        outputs.update(y.numpy().tobytes())
    return outputs.hexdigest()

part = said()
compiler_of_part = "torch._dynamo" in sys.modules
left = [name for name in sys.modules if name.split(".")[0] in ("tensordict", "timm", "torchvision", "warp")]
assert not left, left
assert not any(type(module).__name__ == "_Placeholder" for module in sys.modules.values())
from tensordict import TensorDict
from torch.distributed.tensor import DTensor
from torchvision.ops import nms
from physicsnemo.models.dit import DiT
assert TensorDict({"a": torch.ones(2)}, batch_size=[2])["a"].sum() == 2
assert isinstance(DTensor, type) and callable(nms) and issubclass(DiT, torch.nn.Module)

for name in [name for name in sys.modules if name.startswith(("physicsnemo", "stormcast_tw.model"))]:
    del sys.modules[name]
import physicsnemo.nn
from physicsnemo.nn.functional import geometry
whole = said()
assert sys.modules["physicsnemo.nn.functional.geometry"] is geometry
assert not any(type(module).__name__ == "_Placeholder" for module in sys.modules.values())
print(part, whole, compiler_of_part, "torch._dynamo" in sys.modules)
"""
"""In part, then what was left out, then whole: all of physicsnemo and of ours is imported anew in between."""


def test_the_part_says_what_the_whole_says_and_leaves_nothing_behind():
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    part, whole, compiler_of_part, compiler_of_whole = ran.stdout.split()[-4:]
    assert part == whole
    assert (compiler_of_whole, compiler_of_part) == ("True", "False")
