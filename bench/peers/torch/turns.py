#!/usr/bin/env python3
"""Times PyTorch and Isobit by turns, each in a process of its own, on the processor or on a GPU.

AdamW with fused=True, and cross-entropy, eager, loss and gradient, beside the same operation of Isobit's cpu or cuda backend, which
`bench/run turns` runs in a JVM; that builds with Maven first where sources are newer than the last build. In each round both
run a batch, one after the other; a round gives a ratio, and the median of the ratios, with a 95 % interval, is the result: above
1 Isobit is faster. Both sides' results are compared with float64 before they are timed. On a GPU a batch is calls queued one after
the other and waited for, by the clock of the wall: what the host needs for small ones is in it. Writes JSON.

Needs Python 3.9 and PyTorch 2.4 or newer (`pip install torch`; in a virtual environment where the system's Python refuses), and
what Isobit is built with. Nothing else should run meanwhile.
"""

import argparse
import datetime
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import time

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
CASES = [("adamw", (1, 1 << 20)), ("adamw", (1, 1 << 24)), ("cross-entropy", (512, 1000)),
         ("cross-entropy", (512, 32000)), ("cross-entropy", (65536, 10))]
ON_GPU = [("adamw", (1, 1 << 27)), ("adamw", (10_000, 64))] + CASES
VARIANTS = {"adamw": "PyTorch fused", "cross-entropy": "PyTorch eager"}
NOTHING_WRONG, NOT_MEASURED, NOT_STARTED = range(3)
CODES = """exit codes:
  0  all cases were measured
  1  a case was not: its results are wrong, or the JVM could not be started or ended
  2  an option is wrong, no case was chosen, or PyTorch is missing or finds no GPU
"""


class NotMeasured(Exception):
    """A case, and why."""


class Isobit:
    """A JVM that runs an operation when it is told to."""

    def __init__(self, operation, shape, threads, warm_up):
        command = [os.path.join(ROOT, "bench", "run"), "turns", operation, "x".join(map(str, shape)),
                   f"--threads={threads}" if threads else "--backend=cuda", f"--warm-up={warm_up}"]
        try:
            self.jvm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise NotMeasured(f"{command[0]} cannot be started: {error.strerror}") from error
        self.expect("ready")

    def expect(self, pattern):
        line = self.jvm.stdout.readline().strip()
        if not re.fullmatch(pattern, line):
            self.close()
            raise NotMeasured(f"the JVM wrote \"{line}\" and ended with {self.jvm.returncode}; its own words are above")
        return line

    def seconds(self, calls):
        """Of one call."""
        try:
            self.jvm.stdin.write(f"{calls}\n")
            self.jvm.stdin.flush()
        except OSError:
            pass  # told by what is read next
        return int(self.expect("[0-9]+")) * 1e-9 / calls

    def close(self):
        try:
            self.jvm.stdin.close()
        except OSError:
            pass
        self.jvm.stdout.close()
        self.jvm.wait()


class PyTorch:
    """A call in this process, whose results are right."""

    def __init__(self, measure, operation, shape, threads):
        if threads:
            measure.torch.set_num_threads(threads)
        self.wait = (lambda: None) if threads else measure.torch.cuda.synchronize
        problem = measure.Problem(operation, shape, "ordinary")
        call = measure.Call(problem, VARIANTS[operation], measure.torch.device("cpu" if threads else "cuda"), True)
        call.run()
        for name, exact in problem.exact(True).items():
            _, share = measure.judge(problem, name, call.output(name), exact)
            if not share <= measure.LARGEST_SHARE:
                raise NotMeasured(f"{name} of PyTorch is wrong by {share} of the largest result")
        self.run = call.run

    def seconds(self, calls):
        self.run()
        self.wait()
        start = time.perf_counter()
        for _ in range(calls):
            self.run()
        self.wait()
        return (time.perf_counter() - start) / calls


def by_turns(sides, options):
    """Seconds of a call of each side, round by round; who comes first changes."""
    start = time.perf_counter()
    calls = [1] * len(sides)
    while time.perf_counter() - start < options.warm_up:
        calls = [max(1, math.ceil(options.batch * 1e-3 / side.seconds(own))) for side, own in zip(sides, calls)]
    found = [[] for _ in sides]
    for number in range(options.rounds):
        for i in range(len(sides)):
            i = (i + number) % len(sides)
            # The other side's threads wait in a loop for a while before they sleep.
            time.sleep(0.02)
            found[i].append(sides[i].seconds(calls[i]))
    return found


def measured(measure, operation, shape, threads, options):
    isobit = Isobit(operation, shape, threads, options.warm_up)
    try:
        own, theirs = by_turns([isobit, PyTorch(measure, operation, shape, threads)], options)
    finally:
        isobit.close()
    return {"operation": operation, "dtype": "F32", "shape": list(shape), "threads": threads,
            "pyTorch": VARIANTS[operation], "ratio": measure.interval([b / a for a, b in zip(own, theirs)]),
            "isobitMicroseconds": measure.interval([1e6 * each for each in own]),
            "pyTorchMicroseconds": measure.interval([1e6 * each for each in theirs]),
            "isobitSeconds": own, "pyTorchSeconds": theirs}


def name_of(operation, shape, threads):
    return f"{operation} {shape[0]}x{shape[1]}, " + ("GPU" if threads == 0 else
                                                     "1 thread" if threads == 1 else f"{threads} threads")


def numbers(text):
    return [int(each) for each in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, epilog=CODES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX",
                        help="only cases in whose name this is found; --list names them")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu",
                        help="the processor, or a GPU (default: %(default)s)")
    parser.add_argument("--threads", type=numbers, default=[1, 2], metavar="N,..",
                        help="threads of both sides on the processor (default: 1,2)")
    parser.add_argument("--rounds", type=int, default=25, help="rounds (default: %(default)s)")
    parser.add_argument("--batch", type=float, default=40, metavar="MILLIS",
                        help="one batch of one side, about (default: %(default)s)")
    parser.add_argument("--warm-up", type=float, default=4, metavar="SECONDS",
                        help="warm-up of the JVM alone, and of both, at least (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="where the results go (bench/results/turns-<time>.json)")
    options = parser.parse_args()
    if options.rounds < 1 or not options.batch > 0 or not options.warm_up > 0 or min(options.threads) < 1:
        parser.error("--rounds, --batch, --warm-up and --threads must be above 0")
    gpu = options.device == "cuda"
    options.cases = [(operation, shape, threads) for threads in ([0] if gpu else options.threads)
                     for operation, shape in (ON_GPU if gpu else CASES)
                     if options.only.search(name_of(operation, shape, threads))]
    if not options.cases:
        parser.error(f"--only = {options.only.pattern} is found in no case; --list names them")
    if not options.list and importlib.util.find_spec("torch") is None:
        parser.error(f"{sys.executable} has no PyTorch: {sys.executable} -m pip install torch, or run this by another Python: "
                     "python3 -m venv torch; torch/bin/pip install torch; torch/bin/python " + sys.argv[0])
    return options


def write(file, report):
    with open(file + ".part", "w", encoding="utf-8") as out:
        json.dump(report, out, indent=2, allow_nan=False)
        out.write("\n")
    os.replace(file + ".part", file)


def main():
    options = arguments()
    if options.list:
        print("\n".join(name_of(*case) for case in options.cases))
        return NOTHING_WRONG
    import measure  # beside this file; it needs PyTorch
    gpu = options.device == "cuda"
    if gpu and not measure.torch.cuda.is_available():
        print("turns.py: this PyTorch finds no GPU; --device cpu measures the processor", file=sys.stderr)
        return NOT_STARTED
    started = datetime.datetime.now(datetime.timezone.utc)
    file = os.path.abspath(options.json or os.path.join(ROOT, "bench", "results", f"turns-{started:%Y%m%d-%H%M%S}.json"))
    os.makedirs(os.path.dirname(file), exist_ok=True)
    report = {"format": "isobit-turns/1", "started": f"{started:%Y-%m-%dT%H:%M:%SZ}",
              "commit": measure.Run.said("git", "-C", ROOT, "describe", "--always", "--dirty") or "unknown",
              "machine": measure.Run.machine(), "device": measure.torch.cuda.get_device_name() if gpu else None,
              "pyTorch": measure.torch.__version__,
              "settings": {"rounds": options.rounds, "batchMillis": options.batch, "warmUpSeconds": options.warm_up},
              "loadAverageBefore": os.getloadavg()[0], "loadAverageAfter": 0, "cases": [], "absent": []}
    print(f"{'PyTorch ' + report['pyTorch'] + ' beside Isobit':38} {'ratio':>6}  {'95 % interval':15} {'Isobit, us':>12} "
          f"{'PyTorch, us':>12}")
    for case in options.cases:
        try:
            found = measured(measure, *case, options)
            ratio = found["ratio"]
            print(f"{name_of(*case):38} {ratio['median']:6.3f}  [{ratio['low']:.3f}, {ratio['high']:.3f}]  "
                  f"{found['isobitMicroseconds']['median']:12.1f} {found['pyTorchMicroseconds']['median']:12.1f}", flush=True)
            report["cases"].append(found)
        except NotMeasured as error:
            report["absent"].append(f"{name_of(*case)}: {error}")
            print(f"{name_of(*case):38} not measured: {error}", flush=True)
        report["loadAverageAfter"] = os.getloadavg()[0]
        write(file, report)
    print(file)
    return NOT_MEASURED if report["absent"] else NOTHING_WRONG


if __name__ == "__main__":
    sys.exit(main())
