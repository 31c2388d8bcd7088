#!/usr/bin/env python3
"""Writes the files beside it: optimizer state of PyTorch, and how PyTorch's run goes on. Made with PyTorch 2.13.0 (CPU).

    python3 make.py            # needs torch, nothing else

A network of two layers is trained for some steps; then its optimizer's state is written twice as safetensors:
  KIND.safetensors        optimizer.state_dict() as it is, by numbers: state.0.exp_avg, ...; no parameters
  KIND-named.safetensors  the parameters, and the state by their names: 0.weight, 0.weight.exp_avg, ...
It is trained on, and KIND.tsv tells of it: step (0: when the state was written), parameter, role, dtype, and the bits of
the elements in hexadecimal, most significant digit first. Roles: the names in state_dict() and `param`, after the step;
`grad`, what the step was taken with; `param_f64`, the parameter after the same optimizer in float64 has gone on from the
same parameters and state with the same gradients.
"""

import json
import os
import struct

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
BEFORE = 4
AFTER = 6
DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.float16: "F16"}
BITS = {torch.float32: (torch.int32, 8), torch.float64: (torch.int64, 16), torch.bfloat16: (torch.int16, 4),
        torch.float16: (torch.int16, 4)}


def safetensors(name, tensors):
    """The format is eight bytes of length, JSON padded with spaces, and the tensors one after the other."""
    header = {"__metadata__": {"format": "pt"}}
    data = b""
    for key, value in tensors.items():
        flat = value.detach().contiguous().reshape(-1)
        raw = bytes(flat.view(torch.uint8).tolist())
        header[key] = {"dtype": DTYPES[value.dtype], "shape": list(value.shape),
                       "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def line(step, name, role, value):
    integers, digits = BITS[value.dtype]
    flat = value.detach().contiguous().reshape(-1).view(integers).tolist()
    bits = " ".join(f"{i & ((1 << 4 * digits) - 1):0{digits}x}" for i in flat)
    return "\t".join([str(step), name, role, DTYPES[value.dtype], bits]) + "\n"


def groups(parameters, decay):
    """As one does: no decay of biases. PyTorch numbers parameters group by group."""
    return [{"params": [p for n, p in parameters if n.endswith("weight")], "weight_decay": decay},
            {"params": [p for n, p in parameters if n.endswith("bias")], "weight_decay": 0.0}]


def make(kind, dtype, decay, optimizer):
    torch.manual_seed(20261123)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)).to(dtype)
    named = list(model.named_parameters())
    optimize = optimizer(groups(named, decay))

    def backward():
        optimize.zero_grad()
        x = torch.randn(11, 5).to(dtype)
        y = torch.randn(11, 3).to(dtype)
        torch.nn.functional.mse_loss(model(x), y).backward()

    for _ in range(BEFORE):
        backward()
        optimize.step()
    state = optimize.state_dict()["state"]
    safetensors(f"{kind}.safetensors", {f"state.{i}.{key}": value for i, kept in state.items()
                                        for key, value in kept.items() if value is not None})
    tensors = dict(named)
    tensors.update({f"{name}.{key}": value for name, p in named for key, value in optimize.state[p].items()
                    if value is not None})
    safetensors(f"{kind}-named.safetensors", tensors)
    # The same in float64.
    twins = [(name, torch.nn.Parameter(p.detach().double())) for name, p in named]
    exact = optimizer(groups(twins, decay))
    for (_, p), (_, twin) in zip(named, twins):
        exact.state[twin] = {key: value.clone() if key == "step" else value.double()
                             for key, value in optimize.state[p].items()}
    lines = [line(0, name, "param", p) for name, p in named]
    lines += [line(0, name, key, value) for name, p in named for key, value in optimize.state[p].items()]
    for step in range(1, AFTER + 1):
        backward()
        for (name, p), (_, twin) in zip(named, twins):
            lines.append(line(step, name, "grad", p.grad))
            twin.grad = p.grad.double()
        optimize.step()
        exact.step()
        for (name, p), (_, twin) in zip(named, twins):
            lines.append(line(step, name, "param", p))
            lines.append(line(step, name, "param_f64", twin))
    with open(os.path.join(HERE, f"{kind}.tsv"), "w") as file:
        file.write("step\tparameter\trole\tdtype\tbits\n" + "".join(lines))


make("adamw", torch.float32, 0.05, lambda g: torch.optim.AdamW(g, lr=0.01))
make("adam-amsgrad", torch.float32, 0.01, lambda g: torch.optim.Adam(g, lr=0.02, betas=(0.8, 0.9), amsgrad=True))
make("sgd", torch.float32, 0.001, lambda g: torch.optim.SGD(g, lr=0.05, momentum=0.9, nesterov=True))
make("adamw-bf16", torch.bfloat16, 0.05, lambda g: torch.optim.AdamW(g, lr=0.01))
