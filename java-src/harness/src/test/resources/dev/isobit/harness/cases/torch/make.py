#!/usr/bin/env python3
"""Writes the cases beside it, in the format of java-src/harness/CASES.md. Made with PyTorch 2.13.0 (CPU).

    python3 make.py            # needs torch, nothing else

Every operation of that format but ONNX's. What is expected is PyTorch's in float64 from the same inputs; X_native is
what it computes in the type of the case. The optimizers that are not PyTorch's are written out here in float64, as their
frameworks write them.
"""

import itertools
import math
import os

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {torch.float64: "f64", torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.int64: "i64"}
TOLERANCE = {torch.float32: (2e-6, 2e-6), torch.float16: (2e-3, 2e-3), torch.bfloat16: (1.6e-2, 1.6e-2)}
cases, attrs, tensors, data = [], [], [], bytearray()


def put(case, role, name, value):
    value = value.detach().contiguous()
    raw = bytes(value.reshape(-1).view(torch.uint8).tolist()) if value.numel() else b""
    shape = "x".join(map(str, value.shape)) if value.dim() else "scalar"
    tensors.append([case, role, name, NAMES[value.dtype], shape, "cases/torch.bin", str(len(data)), str(len(raw))])
    data.extend(raw)


def case(name, op, dtype, attributes, inputs, expected, source):
    """`expected` computes from inputs; it is asked in float64 and, if the source has it, in the type."""
    rtol, atol = TOLERANCE[dtype]
    cases.append([name, op, NAMES[dtype], "computed", str(rtol), str(atol), source, "make.py", ""])
    for key, value in attributes.items():
        text = ",".join(map(repr, value)) if isinstance(value, tuple) else str(value)
        attrs.append([name, key, text.lower() if isinstance(value, bool) else text])
    for key, value in inputs.items():
        put(name, "inputs", key, value)
    wide = {key: value.double() if value.is_floating_point() else value for key, value in inputs.items()}
    for key, value in expected(**wide).items():
        put(name, "expected", key, value)
    if source == "torch":
        for key, value in expected(**inputs).items():
            put(name, "expected", key + "_native", value)


def backward(loss, x, gy):
    (gradient,) = torch.autograd.grad(loss, x, gy if gy is not None else torch.ones_like(loss))
    return gradient


# Losses and softmax.

def cross_entropy(reduction="mean", ignore=-100, smoothing=0.0, axis=1):
    def expected(logits, target=None, target_prob=None, weight=None, sample_weight=None, gy=None):
        x = logits.detach().requires_grad_()
        z = x.movedim(axis, 1)
        labels = target if target is not None else target_prob.movedim(axis, 1)
        weight = None if weight is None else weight.to(z.dtype)
        labels = labels if target is not None else labels.to(z.dtype)
        if sample_weight is None:
            loss = F.cross_entropy(z, labels, weight=weight, ignore_index=ignore, reduction=reduction,
                                   label_smoothing=smoothing)
        else:
            rows = F.cross_entropy(z, labels, weight=weight, ignore_index=ignore, reduction="none",
                                   label_smoothing=smoothing) * sample_weight
            loss = rows if reduction == "none" else rows.sum()
        grad = backward(loss, x, None if gy is None else gy.to(loss.dtype))
        return {"loss": loss, "grad": grad, "log_prob": torch.log_softmax(x, axis)}
    return expected


def losses(dtype, tag):
    torch.manual_seed(1)
    x = (3 * torch.randn(5, 7)).to(dtype)
    t = torch.tensor([0, 6, -100, 3, 3])
    w = torch.rand(7) + 0.5
    q = torch.softmax(torch.randn(5, 7), 1)
    for reduction in ["none", "sum", "mean"]:
        name = f"torch/cross_entropy_{reduction}{tag}"
        case(name, "cross_entropy", dtype, {"reduction": reduction}, {"logits": x, "target": t},
             cross_entropy(reduction), "torch")
        case(name + "_weight_smoothing", "cross_entropy", dtype, {"reduction": reduction, "label_smoothing": 0.125},
             {"logits": x, "target": t, "weight": w}, cross_entropy(reduction, smoothing=0.125), "torch")
        case(name + "_prob", "cross_entropy", dtype, {"reduction": reduction}, {"logits": x, "target_prob": q},
             cross_entropy(reduction), "torch")
        case(name + "_ignore", "cross_entropy", dtype,
             {"reduction": reduction, "ignore_index": 3, "has_ignore_index": True},
             {"logits": x, "target": t.clamp(min=0)}, cross_entropy(reduction, ignore=3), "torch")
    deep = torch.randn(2, 4, 3).to(dtype)
    index = torch.randint(0, 4, (2, 3))
    gy = torch.randn(2, 3)
    case(f"torch/cross_entropy_deep{tag}", "cross_entropy", dtype, {"reduction": "none"},
         {"logits": deep, "target": index, "gy": gy}, cross_entropy("none"), "torch")
    last = deep.movedim(1, 2).contiguous()
    for axis in [-1, 2]:
        case(f"torch/cross_entropy_last_{axis}{tag}", "cross_entropy", dtype, {"reduction": "none", "class_axis": axis},
             {"logits": last, "target": index, "gy": gy}, cross_entropy("none", axis=2), "torch")
    case(f"torch/cross_entropy_last_prob{tag}", "cross_entropy", dtype, {"class_axis": -1},
         {"logits": last, "target_prob": torch.softmax(torch.randn(2, 3, 4), 2)}, cross_entropy(axis=2), "torch")
    for reduction in ["none", "sum"]:
        case(f"torch/cross_entropy_sample_weight_{reduction}{tag}", "cross_entropy", dtype, {"reduction": reduction},
             {"logits": x, "target": t, "sample_weight": torch.tensor([1, 0.5, 2, 0, 3.0])}, cross_entropy(reduction),
             "torch, rows weighted here")
    case(f"torch/cross_entropy_last_sample_weight{tag}", "cross_entropy", dtype,
         {"reduction": "sum", "class_axis": -1},
         {"logits": last, "target": index, "sample_weight": torch.rand(2, 3)}, cross_entropy("sum", axis=2),
         "torch, rows weighted here")

    def bce(reduction, smoothing=0.0):
        def expected(logits, target, weight=None, pos_weight=None, gy=None):
            z = logits.detach().requires_grad_()
            soft = target * (1 - smoothing) + smoothing / 2
            cast = lambda v: None if v is None else v.to(z.dtype)
            loss = F.binary_cross_entropy_with_logits(z, cast(soft), cast(weight), reduction=reduction,
                                                      pos_weight=cast(pos_weight))
            return {"loss": loss, "grad": backward(loss, z, cast(gy))}
        return expected

    y = torch.randint(0, 2, (5, 7)).float()
    for reduction in ["none", "sum", "mean"]:
        case(f"torch/bce_{reduction}{tag}", "bce_with_logits", dtype, {"reduction": reduction},
             {"logits": x, "target": y}, bce(reduction), "torch")
        case(f"torch/bce_{reduction}_weights{tag}", "bce_with_logits", dtype,
             {"reduction": reduction, "label_smoothing": 0.25},
             {"logits": x, "target": torch.rand(5, 7), "weight": torch.rand(5, 1), "pos_weight": torch.rand(7) + 0.5},
             bce(reduction, 0.25), "torch")
    case(f"torch/bce_gy{tag}", "bce_with_logits", dtype, {"reduction": "none"},
         {"logits": x, "target": y, "gy": torch.randn(5, 7)}, bce("none"), "torch")

    if dtype != torch.float32:
        return  # the library has those below in float32 alone

    def nll(reduction, ignore=-100):
        def expected(logp, target, weight=None, gy=None):
            p = logp.detach().requires_grad_()
            loss = F.nll_loss(p, target, weight=None if weight is None else weight.to(p.dtype), ignore_index=ignore,
                              reduction=reduction)
            return {"loss": loss, "grad": backward(loss, p, None if gy is None else gy.to(loss.dtype))}
        return expected

    logp = torch.log_softmax(x.float(), 1).to(dtype)
    for reduction in ["none", "sum", "mean"]:
        case(f"torch/nll_{reduction}{tag}", "nll_loss", dtype, {"reduction": reduction},
             {"logp": logp, "target": t, "weight": w}, nll(reduction), "torch")
    case(f"torch/nll_ignore{tag}", "nll_loss", dtype, {"reduction": "none", "ignore_index": 3},
         {"logp": logp, "target": t.clamp(min=0), "gy": torch.randn(5)}, nll("none", 3), "torch")

    def softmax(function, axis):
        def expected(x, gy=None):
            z = x.detach().requires_grad_()
            result = function(z, axis)
            return {"y": result, "gx": backward(result, z, gy)}
        return expected

    deep = torch.randn(3, 4, 5).to(dtype)
    for (name, function), axis in itertools.product([("softmax", torch.softmax), ("log_softmax", torch.log_softmax)],
                                                    [0, 1, -1]):
        case(f"torch/{name}_{axis}{tag}", name, dtype, {"axis": axis}, {"x": deep, "gy": torch.randn(3, 4, 5).to(dtype)},
             softmax(function, axis), "torch")
        # Of softmax a gradient of zeros: how far PyTorch is from them tells nothing.
        case(f"torch/{name}_{axis}_ones{tag}", name, dtype, {"axis": axis}, {"x": deep}, softmax(function, axis),
             "torch in float64")


# Optimizers.

def torch_steps(make, roles, last_only=()):
    def expected(p0, grads):
        p = torch.nn.Parameter(p0.clone())
        optimizer = make([p])
        kept = {name: [] for name in ["p", *roles]}
        for g in grads:
            p.grad = g.to(p.dtype).clone()
            optimizer.step()
            kept["p"].append(p.detach().clone())
            for name, key in roles.items():
                kept[name].append(optimizer.state[p][key].clone())
        return {name: values[-1] if name in last_only else torch.stack(values) for name, values in kept.items()}
    return expected


def written_steps(rule, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False):
    def expected(p0, grads):
        p, m, v, x = p0.clone(), torch.zeros_like(p0), torch.zeros_like(p0), torch.zeros_like(p0)
        kept = {"p": [], "m": [], "v": []}
        for t, g in enumerate(grads, 1):
            correction = math.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
            if rule == "adam_epshat":
                g = g + weight_decay * p
            elif rule == "adamw_epshat":  # Keras: the weights decay, then they are updated
                p = p - lr * weight_decay * p
            m = betas[0] * m + (1 - betas[0]) * g
            v = betas[1] * v + (1 - betas[1]) * g * g
            x = torch.maximum(x, v)
            p = p - lr * correction * m / (torch.sqrt(x if amsgrad else v) + eps)
            if rule == "adamw_epshat_decay_after":  # Hugging Face: after
                p = p - lr * weight_decay * p
            for name, value in (("p", p), ("m", m), ("v", v)):
                kept[name].append(value.clone())
        return {name: torch.stack(values) for name, values in kept.items()}
    return expected


def optimizers(dtype, tag):
    torch.manual_seed(2)
    adam = {"m": "exp_avg", "v": "exp_avg_sq"}
    with_maximum = {**adam, "vmax": "max_exp_avg_sq"}
    shapes = [(2, 3), (17,), ()]
    for i, kwargs in enumerate([
            {"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.25, "maximize": True}, {"lr": 0.1, "momentum": 0.9},
            {"lr": 0.1, "momentum": 0.5, "dampening": 0.25, "weight_decay": 0.125},
            {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
            {"momentum": 0.75, "maximize": True}, {}, {"momentum": 0.5}]):
        shape = shapes[i % len(shapes)] if i < 7 else (0, 3)
        # Of a parameter of 16 bits PyTorch rounds moments and buffer too, the library does not: float64 judges both.
        roles = {"buf": "momentum_buffer"} if kwargs.get("momentum") else {}
        case(f"torch/sgd_{i}{tag}", "sgd", dtype, kwargs,
             {"p0": torch.randn(shape).to(dtype), "grads": torch.randn(4, *shape).to(dtype)},
             torch_steps(lambda p, k=kwargs: torch.optim.SGD(p, **k), roles, ("buf",) if i == 3 else ()), "torch")
    for i, (op, kwargs) in enumerate([
            ("adam", {}), ("adam", {"lr": 0.1, "betas": (0.5, 0.75), "weight_decay": 0.25}),
            ("adam", {"lr": 0.1, "amsgrad": True, "betas": (0.9, 0.5)}), ("adamw", {"lr": 0.1, "maximize": True}),
            ("adamw", {"lr": 0.1, "weight_decay": 0.25, "eps": 0.001, "amsgrad": True, "betas": (0.5, 0.5)}), ("adamw", {})]):
        shape = shapes[i % len(shapes)] if i < 5 else (0, 3)
        make = torch.optim.Adam if op == "adam" else torch.optim.AdamW
        case(f"torch/{op}_{i}{tag}", op, dtype, kwargs,
             {"p0": torch.randn(shape).to(dtype), "grads": torch.randn(4, *shape).to(dtype)},
             torch_steps(lambda p, k=kwargs, o=make: o(p, **k), with_maximum if kwargs.get("amsgrad") else adam,
                         ("p", "v") if i == 4 else ()), "torch")
    for i, (op, kwargs) in enumerate([
            ("adam_epshat", {"lr": 0.1}), ("adam_epshat", {"lr": 0.1, "weight_decay": 0.25, "eps": 0.001}),
            ("adam_epshat", {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.5)}),
            ("adamw_epshat", {"lr": 0.1, "weight_decay": 0.25}),
            ("adamw_epshat_decay_after", {"lr": 0.1, "weight_decay": 0.25, "eps": 1e-06})]):
        shape = shapes[i % len(shapes)]
        case(f"written/{op}_{i}{tag}", op, dtype, kwargs,
             {"p0": torch.randn(shape).to(dtype), "grads": torch.randn(4, *shape).to(dtype)},
             written_steps(op, **kwargs), "written out")


losses(torch.float32, "")
losses(torch.bfloat16, "_bf16")
losses(torch.float16, "_f16")
optimizers(torch.float32, "")
optimizers(torch.bfloat16, "_bf16")


def table(name, columns, rows):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
        file.write("\n".join("\t".join(row) for row in [columns, *rows]) + "\n")


table("cases.tsv", ["id", "op", "dtype", "provenance", "rtol", "atol", "source", "path", "notes"], cases)
table("attrs.tsv", ["id", "key", "value"], attrs)
table("tensors.tsv", ["id", "role", "name", "dtype", "shape", "file", "offset", "nbytes"], tensors)
with open(os.path.join(HERE, "cases", "torch.bin"), "wb") as file:
    file.write(data)
