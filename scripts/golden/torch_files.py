"""Checkpoints as torch.save writes them, with the same tensors as safetensors.

    python scripts/golden/torch_files.py

writes shared/golden/torch/: `archive.bin` (the format since PyTorch 1.6), `chain.bin` (the one before), `protocol4.bin`,
`trainer.pt` (a trainer's notes around the tensors), `parameters.pt` (parameters, dictionaries and lists in each other),
`module.pt` (a whole module), `script.pt` (TorchScript), `quantised.pt`, and `tensors.safetensors` with what the first four
hold. Made with torch 2.15.
"""

from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "torch"


def tensors():
    torch.manual_seed(0)
    state = OrderedDict()
    state["a.weight"] = torch.randn(3, 4)
    state["a.bias"] = torch.randn(3).half()
    state["tied"] = state["a.weight"]
    state["turned"] = torch.randn(4, 5).t()
    state["permuted"] = torch.randn(2, 3, 4).permute(2, 0, 1)
    state["part"] = torch.randn(10)[3:7]
    state["rows"] = torch.randn(6, 3)[::2]
    state["brain"] = torch.randn(2, 2).bfloat16()
    state["double"] = torch.randn(2).double()
    state["places"] = torch.arange(7)
    state["flags"] = torch.tensor([True, False])
    state["scalar"] = torch.tensor(3.5)
    state["nothing"] = torch.zeros(0, 3)
    return state


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    state = tensors()
    torch.save(state, OUT / "archive.bin")
    torch.save(state, OUT / "chain.bin", _use_new_zipfile_serialization=False)
    torch.save(state, OUT / "protocol4.bin", pickle_protocol=4)
    optimiser = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    torch.save({"epoch": 3, "state_dict": state, "optimizer": optimiser, "best": 0.25}, OUT / "trainer.pt")
    nested = {"x": torch.nn.Parameter(torch.ones(2, 2)), "deep": {"y": torch.ones(2)}, "list": [torch.ones(3)]}
    torch.save(nested, OUT / "parameters.pt")
    torch.save(torch.nn.Linear(2, 2), OUT / "module.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), OUT / "script.pt")
    torch.save({"q": torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8)}, OUT / "quantised.pt")
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, OUT / "tensors.safetensors")


if __name__ == "__main__":
    main()
