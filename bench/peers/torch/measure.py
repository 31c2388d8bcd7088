#!/usr/bin/env python3
"""Measures PyTorch where Isobit is measured: eager, compiled, and with fused optimizers.

Writes the file that bench/FORMAT.md describes, so that `isobit report DIR...` puts it beside runs of `isobit bench` on
the same GPU (or processor). Needs Python 3.9 and PyTorch 2.4 or newer, nothing else.

On a GPU times are those between two events around replays of a CUDA graph: warm, as many replays as make a batch; cold,
one replay after 512 MB were written. Each round times a copy within the device too. Results are compared with float64
before a case is timed; one that is wrong, or that cannot be captured, is named under "absent". GPU settings are left alone.
"""

import argparse
import datetime
import hashlib
import json
import math
import os
import platform
import random
import re
import subprocess
import sys
import time

import torch
import torch.nn.functional as functional

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
OPERATIONS = ["cross-entropy", "bce", "adamw", "sgd"]
VARIANTS = {
    "PyTorch eager": "functional losses and autograd.grad; torch.optim.AdamW and SGD as they are by default (foreach on a GPU)",
    "PyTorch compiled": "torch.compile of the loss, whose gradient it compiles too, and of the optimizer's step",
    "PyTorch fused": "torch.optim.AdamW and SGD with fused=True; losses have no such thing",
}
INPUTS = {
    "cross-entropy": ["ordinary", "confident rows", "large offset"],
    "bce": ["ordinary", "saturated"],
    "adamw": ["ordinary", "tiny gradients"],
    "sgd": ["ordinary", "tiny gradients"],
}
# The same as AdamOptions.adamW() and SgdWorkload; steps are compared and timed in the middle of a run.
ADAMW = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
SGD = {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}
STEPS_BEFORE = 10
TINY = 1e-12
SEED = 20250104
LARGEST_SHARE = 1e-4
RESAMPLES = 2000


def cases(quick, gpu):
    """Those of BenchGrid on a device; the largest is for a GPU alone."""
    found = [("cross-entropy", shape) for shape in [(512, 1000), (512, 32000), (65536, 10), (4096, 1000)]]
    found += [("bce", (16384, 64)), ("adamw", (1, 1 << 20))]
    classes = [2, 10, 100, 1000, 10_000, 128_256] if quick else [
        2, 3, 10, 32, 100, 128, 256, 1000, 1024, 2048, 4096, 8192, 10_000, 32_000, 50_257, 128_256, 262_144]
    logits = 1 << 21 if quick else 1 << 23
    found += [("cross-entropy", (max(1, logits // count), count)) for count in classes]
    found += [("bce", (131_072, 64)), ("adamw", (1, 1 << 24)), ("adamw", (10_000, 64))]
    found += [("sgd", (1, 1 << 20)), ("sgd", (1, 1 << 24))]
    if gpu:
        found += [("adamw", (1, 1 << 27))]
    if not quick:
        found += [(name, (1, 1 << power)) for power in range(10, 27, 2) for name in ("adamw", "sgd")]
    return list(dict.fromkeys(found))


def accuracy_shape(operation):
    return {"cross-entropy": (64, 1000), "bce": (256, 64)}.get(operation, (3, 4099))


def bytes_of(operation, shape, mean=True):
    """That a call has to move, each operand once."""
    elements = shape[0] * shape[1]
    if operation == "cross-entropy":
        return 8 * elements + 8 * shape[0] + (0 if mean else 4 * shape[0])
    return elements * {"bce": 12 if mean else 16, "adamw": 28, "sgd": 20}[operation]


class Problem:
    """Operands of a case on the host: inputs of the same kind as Isobit's, with other random numbers."""

    def __init__(self, operation, shape, inputs):
        self.operation, self.shape, self.inputs = operation, shape, inputs
        random_numbers = torch.Generator().manual_seed(SEED)
        normal = lambda *size: torch.randn(*size, generator=random_numbers)
        uniform = lambda center, width, *size: center + width * (torch.rand(*size, generator=random_numbers) - 0.5)
        rows, columns = shape
        if operation == "cross-entropy":
            targets = torch.randint(columns, (rows,), generator=random_numbers)
            logits = 2 * normal(rows, columns)
            if inputs == "confident rows":
                logits[torch.arange(rows), targets] += 20
            if inputs == "large offset":
                logits += 5000 * uniform(0, 2, rows, 1)
            self.operands = {"logits": logits, "targets": targets}
        elif operation == "bce":
            positive = torch.randint(4, (rows, columns), generator=random_numbers) == 0
            noise = 2 * normal(rows, columns)
            logits = torch.where(positive, 20.0, -20.0) + noise / 4 if inputs == "saturated" else noise
            self.operands = {"logits": logits, "targets": positive.float(), "posWeight": uniform(3, 2, columns)}
        else:
            scale = TINY if inputs == "tiny gradients" else 1
            self.operands = {"param": uniform(0, 1, rows, columns), "grad": uniform(0, scale, rows, columns)}
            if operation == "adamw":
                self.operands["expAvg"] = uniform(0, 0.1 * scale, rows, columns)
                self.operands["expAvgSq"] = uniform(0.005 * scale * scale, 0.01 * scale * scale, rows, columns)
            else:
                self.operands["momentumBuffer"] = uniform(0, scale, rows, columns)

    def addend(self, output):
        """An error is counted in ULP of no less than what was added to get there."""
        scale = TINY if self.inputs == "tiny gradients" else 1
        if self.operation == "adamw":
            return {"expAvg": 0.05 * scale, "expAvgSq": 0}.get(output, 2 * ADAMW["lr"])
        if self.operation == "sgd":
            gradient = 0.5 * max(scale, SGD["weight_decay"])
            return 2 * SGD["lr"] * gradient if output == "param" else gradient
        return 0

    def exact(self, mean):
        """What float64 makes of the operands."""
        p = {name: value.double() if value.is_floating_point() else value for name, value in self.operands.items()}
        if self.operation == "cross-entropy":
            lse = torch.logsumexp(p["logits"], 1)
            own = p["logits"].gather(1, p["targets"][:, None])
            shifted = p["logits"] - p["logits"].max(1, keepdim=True).values
            grad = torch.exp(shifted) / torch.exp(shifted).sum(1, keepdim=True)
            # The target's p - 1 as minus the sum of the others, which loses no digits.
            others = grad.scatter(1, p["targets"][:, None], 0)
            grad = others.scatter(1, p["targets"][:, None], -others.sum(1, keepdim=True))
            high = p["logits"].max(1).values
            at_top = own[:, 0] == high
            rest = torch.exp(p["logits"] - own).scatter(1, p["targets"][:, None], 0).sum(1)
            loss = torch.where(at_top, torch.log1p(rest), lse - own[:, 0])
        elif self.operation == "bce":
            x, y = p["logits"], p["targets"]
            factor = 1 + (p["posWeight"] - 1) * y
            soft = torch.log1p(torch.exp(-x.abs())) + torch.relu(-x)
            loss = (1 - y) * x + factor * soft
            # Both forms are exact where targets are 0 or 1: no difference of nearly equal numbers.
            loss = torch.where(y == 1, factor * soft, torch.log1p(torch.exp(-x.abs())) + torch.relu(x))
            grad = torch.where(y == 1, -factor * torch.sigmoid(-x), torch.sigmoid(x))
        elif self.operation == "adamw":
            step = STEPS_BEFORE + 1
            beta1, beta2 = ADAMW["betas"]
            first = beta1 * p["expAvg"] + (1 - beta1) * p["grad"]
            second = beta2 * p["expAvgSq"] + (1 - beta2) * p["grad"] ** 2
            root = second.sqrt() / math.sqrt(1 - beta2**step) + ADAMW["eps"]
            param = p["param"] * (1 - ADAMW["lr"] * ADAMW["weight_decay"])
            param = param - ADAMW["lr"] / (1 - beta1**step) * first / root
            return {"param": param, "expAvg": first, "expAvgSq": second}
        else:
            buffer = SGD["momentum"] * p["momentumBuffer"] + p["grad"] + SGD["weight_decay"] * p["param"]
            return {"param": p["param"] - SGD["lr"] * buffer, "momentumBuffer": buffer}
        return {"loss": loss.mean(), "gradLogits": grad / loss.numel()} if mean else {"loss": loss, "gradLogits": grad}


class Call:
    """A variant's call on operands of its own."""

    def __init__(self, problem, variant, device, mean):
        self.problem = problem
        on_device = {name: value.to(device, copy=True) for name, value in problem.operands.items()}
        self.run = (self.loss if problem.operation in ("cross-entropy", "bce") else self.optimizer)(
            on_device, variant, device, mean)

    def loss(self, operands, variant, device, mean):
        logits = operands["logits"].requires_grad_()
        reduction = "mean" if mean else "none"
        if self.problem.operation == "cross-entropy":
            function = lambda x: functional.cross_entropy(x, operands["targets"], reduction=reduction)
        else:
            function = lambda x: functional.binary_cross_entropy_with_logits(
                x, operands["targets"], pos_weight=operands["posWeight"], reduction=reduction)
        if variant == "PyTorch compiled":
            function = torch.compile(function, dynamic=False)
        ones = None if mean else torch.ones_like(function(logits.detach()))

        def run():
            found = function(logits)
            (gradient,) = torch.autograd.grad(found, logits, ones)
            # Without its graph, which would tie a capture to the stream of the call before.
            self.outputs = {"loss": found.detach(), "gradLogits": gradient}

        return run

    def optimizer(self, operands, variant, device, mean):
        adamw = self.problem.operation == "adamw"
        rows = lambda name: [row.clone() for row in operands[name]]
        params = rows("param")
        for param, grad in zip(params, rows("grad")):
            param.requires_grad_()
            param.grad = grad
        options = {"fused": True} if variant == "PyTorch fused" else {}
        if adamw:
            optimizer = torch.optim.AdamW(params, **ADAMW, capturable=device.type == "cuda", **options)
            steps = device if device.type == "cuda" or options else "cpu"
            state = {"exp_avg": rows("expAvg"), "exp_avg_sq": rows("expAvgSq"),
                     "step": [torch.tensor(float(STEPS_BEFORE), device=steps) for _ in params]}
            kept = {"expAvg": "exp_avg", "expAvgSq": "exp_avg_sq"}
        else:
            optimizer = torch.optim.SGD(params, **SGD, **options)
            state = {"momentum_buffer": rows("momentumBuffer")}
            kept = {"momentumBuffer": "momentum_buffer"}
        for i, param in enumerate(params):
            optimizer.state[param] = {name: values[i] for name, values in state.items()}
        step = torch.compile(optimizer.step, dynamic=False) if variant == "PyTorch compiled" else optimizer.step
        self.outputs = {"param": params, **{ours: state[theirs] for ours, theirs in kept.items()}}
        return lambda: step()

    def output(self, name):
        found = self.outputs[name]
        return torch.stack([each.detach().cpu() for each in found]) if isinstance(found, list) else found.detach().cpu()


def judge(problem, name, found, exact):
    """Largest and RMS error in ULP, and the largest by the largest result."""
    found64, exact = found.double().flatten(), exact.flatten()
    apart = (found64 - exact).abs()
    at = exact.abs().clamp(min=max(problem.addend(name), 2.0**-126))
    ulp = torch.ldexp(torch.ones_like(at), torch.frexp(at).exponent.clamp(-125, 128) - 24)
    errors = torch.where(apart.isnan(), math.inf, apart / ulp)
    share = torch.where(apart.isnan(), math.inf, apart).max() / exact.abs().max().clamp(min=sys.float_info.min)
    digest = hashlib.blake2b(found.contiguous().numpy().tobytes(), digest_size=8).hexdigest()
    return {"elements": found.numel(), "maxUlp": float(errors.max()),
            "rmsUlp": float(errors.square().mean().sqrt()), "digest": digest}, float(share)


def middle(values):
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def interval(values):
    """Median and its 95 % interval by the percentile bootstrap."""
    numbers = random.Random(SEED)
    medians = sorted(middle(numbers.choices(values, k=len(values))) for _ in range(RESAMPLES))
    cut = int(0.025 * RESAMPLES)
    return {"median": middle(values), "low": medians[cut], "high": medians[-1 - cut]}


class Host:
    """Times by the wall clock."""

    def __init__(self, settings, threads):
        self.settings = settings
        self.clocks = ["wall"]
        self.copy_bytes = 128 << 20
        torch.set_num_threads(threads)
        self.start, self.to = (torch.zeros(self.copy_bytes // 4) for _ in range(2))

    def prepared(self, run):
        return run

    def copy(self):
        self.to.copy_(self.start)

    def seconds(self, sides, clock):
        runs = [1] * len(sides)
        start = time.perf_counter()
        while time.perf_counter() - start < self.settings["warmUpSeconds"]:
            for i, run in enumerate(sides):
                runs[i] = max(1, math.ceil(self.settings["batchMillis"] * 1e-3 / self.batch(run, runs[i])))
        found = [[] for _ in sides]
        for round_number in range(self.settings["rounds"]):
            for i in range(len(sides)):
                side = (round_number + i) % len(sides)
                found[side].append(self.batch(sides[side], runs[side]))
        return found

    @staticmethod
    def batch(run, runs):
        time.sleep(0.002)
        run()
        start = time.perf_counter()
        for _ in range(runs):
            run()
        return (time.perf_counter() - start) / runs


class Device:
    """Times by events around replays of a graph."""

    FLUSH_BYTES = 512 << 20
    MOST_REPLAYS = 10_000

    def __init__(self, settings, device):
        self.settings = settings
        self.device = device
        self.clocks = ["events, warm cache", "events, cold cache"]
        self.copy_bytes = 1 << 30
        self.start, self.to = (torch.zeros(self.copy_bytes // 4, device=device) for _ in range(2))

    def prepared(self, run):
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(3):
                run()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        return graph.replay

    def copy(self):
        self.to.copy_(self.start)

    def seconds(self, sides, clock):
        runs = 1
        for _ in range(3):
            first = self.batch(sides[0], 1)
        if clock == "events, warm cache":
            runs = min(self.MOST_REPLAYS, max(1, math.ceil(self.settings["batchMillis"] * 1e-3 / first)))
        found = [[] for _ in sides]
        for _ in range(self.settings["rounds"]):
            if clock == "events, cold cache":
                self.to[: self.FLUSH_BYTES // 4].copy_(self.start[: self.FLUSH_BYTES // 4])
            found[0].append(self.batch(sides[0], runs))
            found[1].append(self.batch(sides[1], 1))
        return found

    def batch(self, run, runs):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(runs):
            run()
        end.record()
        torch.cuda.synchronize(self.device)
        return max(1e-9, begin.elapsed_time(end) * 1e-3 / runs)


def side(name, moved, elements, seconds, own, own_moved):
    micros = interval([1e6 * each for each in seconds])
    median = 1e-6 * micros["median"]
    fraction = None
    if own is not None:
        fraction = interval([own_moved / mine / (moved / theirs) for mine, theirs in zip(own, seconds)])
    return {"runner": name, "bytes": moved, "microseconds": micros, "gigaBytes": moved / median * 1e-9,
            "gigaElements": elements / median * 1e-9, "fraction": fraction, "seconds": [seconds]}


class Run:
    def __init__(self, options):
        self.options = options
        self.device = torch.device(options.device)
        self.started = datetime.datetime.now(datetime.timezone.utc)
        self.clock = time.perf_counter()
        settings = {"mode": "quick" if options.quick else "full", "forks": 1, "rounds": 5 if options.quick else 20,
                    "warmUpSeconds": 1.0 if options.quick else 2.5, "batchMillis": 10.0 if options.quick else 30.0}
        gpu = self.device.type == "cuda"
        self.timing = Device(settings, self.device) if gpu else Host(settings, options.threads)
        self.threads = 0 if gpu else options.threads
        how = f"PyTorch {torch.__version__}, " + (f"CUDA {torch.version.cuda}" if gpu else f"{options.threads} thread(s)")
        self.report = {
            "format": "isobit-bench/1", "commit": self.said("git", "-C", ROOT, "describe", "--always", "--dirty") or "unknown",
            "started": self.started.strftime("%Y-%m-%dT%H:%M:%SZ"), "seconds": 0, "complete": False,
            "settings": settings, "machine": self.machine(), "device": self.described() if gpu else None,
            "loadAverageBefore": os.getloadavg()[0], "loadAverageAfter": 0,
            "runners": [{"name": name, "description": f"{how}, in a process of Python: {what}"}
                        for name, what in VARIANTS.items()]
            + [{"name": "copy", "description": f"{self.timing.copy_bytes >> 20} MB to as many, by Tensor.copy_"}],
            "absent": [], "measurements": [], "accuracy": [], "hostCosts": [], "transfers": []}
        folder = os.path.join(options.out, self.started.strftime("%Y%m%d-%H%M%S") + "-torch")
        os.makedirs(folder, exist_ok=True)
        self.file = os.path.join(folder, "bench.json")

    @staticmethod
    def said(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return ""

    @staticmethod
    def machine():
        cpu = platform.machine()
        try:
            with open("/proc/cpuinfo", encoding="utf-8") as lines:
                cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
        except OSError:
            pass
        system = platform.uname()
        return {"os": f"{system.system} {system.release} {system.machine}", "cpu": cpu, "processors": os.cpu_count(),
                "java": f"none (Python {platform.python_version()})", "isobit": "none"}

    def described(self):
        facts = torch.cuda.get_device_properties(self.device)
        smi = self.said("nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,temperature.gpu",
                        "--format=csv,noheader").replace("\n", ";")
        return (f"device {self.device.index or 0}: {facts.name}, sm_{facts.major}{facts.minor}, "
                f"{facts.total_memory >> 20} MiB" + (f"; nvidia-smi: {smi}" if smi else "; no nvidia-smi"))

    def variants(self, operation):
        return [name for name in VARIANTS if name in self.options.variants
                and not (name == "PyTorch fused" and operation in ("cross-entropy", "bce"))]

    def tried(self, name, work):
        """Runs a piece of work; what fails is told and does not end the run."""
        try:
            work()
        except Exception as error:  # pylint: disable=broad-except
            self.report["absent"].append(f"{name}: {type(error).__name__}: {str(error).strip().splitlines()[0][:300]}"
                                         if str(error).strip() else f"{name}: {type(error).__name__}")
        self.save(False)

    def checked(self, problem, variant, mean):
        call = Call(problem, variant, self.device, mean)
        call.run()
        exact = problem.exact(mean)
        return call, {name: judge(problem, name, call.output(name), exact[name]) for name in exact}

    def errors(self, operation, variant):
        for inputs in INPUTS[operation]:
            problem = Problem(operation, accuracy_shape(operation), inputs)
            for name, (found, _) in self.checked(problem, variant, False)[1].items():
                self.report["accuracy"].append({"runner": variant, "operation": operation, "dtype": "F32",
                                                "inputs": inputs, "output": name, **found})

    def speed(self, operation, shape, variant):
        problem = Problem(operation, shape, "ordinary")
        call, judged = self.checked(problem, variant, True)
        for name, (_, share) in judged.items():
            if not share <= LARGEST_SHARE:
                raise ValueError(f"{name} is wrong by {share} of the largest result; not timed")
        elements, moved = shape[0] * shape[1], bytes_of(operation, shape)
        run = self.timing.prepared(call.run)
        for clock in self.timing.clocks:
            own, copy = self.timing.seconds([run, self.timing.copy], clock)
            copied = self.timing.copy_bytes
            self.report["measurements"].append({
                "what": {"operation": operation, "dtype": "F32", "shape": list(shape), "threads": self.threads},
                "backend": variant, "clock": clock, "elements": elements, "bytes": moved,
                "allocatedBytesPerCall": -1.0, "peer": "",
                "sides": [side(variant, moved, elements, own, None, moved),
                          side("copy", 2 * copied, copied // 4, copy, own, moved)]})

    def measure(self):
        operations = self.options.ops
        for operation in operations if self.options.only is None else []:
            for variant in self.variants(operation):
                self.tried(f"{variant}, errors of {operation}", lambda: self.errors(operation, variant))
        chosen = [(operation, shape) for operation, shape in cases(self.options.quick, self.threads == 0) if operation in operations]
        for number, (operation, shape) in enumerate(chosen):
            name = f"{operation} {shape[0]}x{shape[1]} F32" + (
                "" if self.threads == 0 else ", 1 thread" if self.threads == 1 else f", {self.threads} threads")
            if self.options.only is None or self.options.only.search(name):
                print(f"measure: {name} ({number + 1} of {len(chosen)})", file=sys.stderr, flush=True)
                for variant in self.variants(operation):
                    self.tried(f"{variant}, {name}", lambda: self.speed(operation, shape, variant))
                    torch.compiler.reset()
        self.save(True)
        print(os.path.abspath(self.file))
        for line in self.report["absent"]:
            print("not measured: " + line)

    def save(self, complete):
        self.report.update(complete=complete, seconds=time.perf_counter() - self.clock,
                           loadAverageAfter=os.getloadavg()[0])
        with open(self.file + ".part", "w", encoding="utf-8") as out:
            json.dump(named(self.report), out, indent=2, allow_nan=False)
            out.write("\n")
        os.replace(self.file + ".part", self.file)


def named(value):
    """Numbers that JSON does not have are words."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: named(each) for key, each in value.items()}
    return [named(each) for each in value] if isinstance(value, list) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu (default: cuda)")
    parser.add_argument("--threads", type=int, default=1, help="threads with --device cpu (default: 1)")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds")
    parser.add_argument("--ops", type=names, default=OPERATIONS, help="only these: " + ",".join(OPERATIONS))
    parser.add_argument("--variants", type=names, default=list(VARIANTS), help="only these: " + ",".join(VARIANTS))
    parser.add_argument("--only", type=re.compile, help="only cases in whose name this is found; errors are not measured")
    parser.add_argument("--out", default="target/isobit-bench", help="where the run gets a folder (default: %(default)s)")
    options = parser.parse_args()
    for wrong in [name for name in options.ops if name not in OPERATIONS] + [
            name for name in options.variants if name not in VARIANTS]:
        parser.error(f"{wrong} is none of {', '.join(OPERATIONS + list(VARIANTS))}")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("this PyTorch finds no GPU; --device cpu measures the processor")
    Run(options).measure()


if __name__ == "__main__":
    main()
