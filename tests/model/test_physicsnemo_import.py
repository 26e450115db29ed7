"""The U-Net imported in part is the U-Net imported whole, and nothing of the short cut stays behind."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import hashlib, sys
{first}
import torch
from stormcast_tw.model import physicsnemo_import
from stormcast_tw.model.architecture import Architecture, Channels
from stormcast_tw.model.network import build, for_inference
torch.manual_seed(3)
torch.set_num_threads(1)
size = Architecture(model_channels=16, channel_mult=(1, 2), num_blocks=1, attn_resolutions=(8,))
said = hashlib.sha256()
for role in ("regression", "diffusion"):
    network = for_inference(build(role, size, Channels(state=2, condition=3), (32, 32), 2))
    x, condition = torch.randn(2, 8, 16, 16), torch.randn(2, 12, 16, 16)
    noise = torch.tensor([0.1, 3.0])
    y = network(condition, torch.zeros(2)) if role == "regression" else network(x, noise, condition)
    said.update(y.numpy().tobytes())
print(said.hexdigest(), "torch._dynamo" in sys.modules)
{last}
"""
AFTERWARDS = """
left = [name for name in sys.modules if name.split(".")[0] in ("tensordict", "timm", "torchvision", "warp")]
assert not left, left
assert not any(type(module).__name__ == "_Placeholder" for module in sys.modules.values())
from tensordict import TensorDict
from torch.distributed.tensor import DTensor
from torchvision.ops import nms
from physicsnemo.models.dit import DiT
assert TensorDict({"a": torch.ones(2)}, batch_size=[2])["a"].sum() == 2
assert isinstance(DTensor, type) and callable(nms) and issubclass(DiT, torch.nn.Module)
"""


def _ran(first: str, last: str) -> list[str]:
    script = SCRIPT.format(first=first, last=last)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()[:2]


def test_the_part_says_what_the_whole_says_and_leaves_nothing_behind():
    whole, compiler_of_whole = _ran("import physicsnemo.nn", "")
    part, compiler_of_part = _ran("", AFTERWARDS)
    assert part == whole
    assert (compiler_of_whole, compiler_of_part) == ("True", "False")
