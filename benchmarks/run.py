"""Everything measured side by side by one command: python benchmarks/run.py

A full run writes results.json and RESULTS.md here, whole; one with --quick or --only prints its table, and writes it
where --out says.
"""
import argparse
import json
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import (
    FlopCounterMode,
    register_flop_formula,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

from compdiff import __version__
from compdiff.beyond.batched import start_together, step_together
from compdiff.data import generator
from compdiff.diffusion import ConceptPipeline
from compdiff.probe import Probe, judge
from compdiff.render import draw_images
from compdiff.runs import RunConfig, preset, whole, write_json
from compdiff.train import (
    evaluate,
    load_checkpoint,
    make_data,
    make_diffusion,
    make_network,
    save_checkpoint,
    start,
    train_step,
)

ROOT = Path(__file__).resolve().parents[1]
FAST_RUNS = "nbs/results/fast_runs.json"
COLUMNS = ("benchmark", "what", "threads", "unit", "min", "median", "max", "repeats", "gflop", "of_peak", "note")
AIM = 20_000  # pictures a second that the renderer should draw on one core
BAR = 60  # seconds to emergence


@dataclass(frozen=True)
class Sizes:
    "How much is measured."
    batch: int = 64  # pictures a training step, and at once in generation
    width: int = 64  # of the paper's network
    drawn: int = 256  # pictures to generate
    judged: int = 64  # pictures a class at an evaluation
    probed: int = 4096  # pictures for a probe
    rendered: int = 1024  # pictures for the renderer at once
    matrix: int = 2048  # rows of the matrices that show the peak
    times: int = 10  # calls in one measurement of what takes a fraction of a second
    rounds: int = 3  # measurements of what takes seconds
    many: int = 7  # measurements of what takes less
    starts: int = 5  # of new processes
    runs: int = 4  # trained at once on a CPU
    gpu_runs: int = 128  # and on a GPU


QUICK = Sizes(batch=2, width=16, drawn=4, judged=1, probed=32, rendered=32, matrix=256, times=1, rounds=1, many=1,
              starts=1, runs=2, gpu_runs=2)


@dataclass
class Bench:
    "Where and how much is measured."
    device: str
    sizes: Sizes
    peaks: dict[int, float] = field(default_factory=dict)  # threads -> FLOP/s


@dataclass
class Piece:
    "Something to measure, and what was found."
    what: str
    action: Callable[[], object]
    threads: int = 1
    times: int = 1  # calls in one measurement
    seconds: list[float] = field(default_factory=list)  # of one call, by round
    flops: int = 0  # of one call


# PyTorch counts the attention of GPUs only
_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_attention_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@register_flop_formula(_attention)
def attention_flops(query, key, value, *others, **options) -> int:
    "FLOPs of attention on a CPU, from shapes."
    return sdpa_flop_count(query, key, value)


@register_flop_formula(_attention_backward)
def attention_backward_flops(gradient, query, key, value, *others, **options) -> int:
    "FLOPs of its gradient."
    return sdpa_backward_flop_count(gradient, query, key, value)


def measure(pieces: list[Piece], rounds: int, device: str = "cpu") -> list[Piece]:
    "Each piece once, to warm up and to count FLOPs; then all in turn, A B A B."
    for piece in pieces:
        torch.set_num_threads(piece.threads)
        with FlopCounterMode(display=False) as counter: piece.action()
        piece.flops = counter.get_total_flops()
    for _ in range(rounds):
        for piece in pieces:
            torch.set_num_threads(piece.threads)
            begun = time.perf_counter()
            for _ in range(piece.times): piece.action()
            if device != "cpu": torch.cuda.synchronize()
            piece.seconds.append((time.perf_counter() - begun) / piece.times)
    return pieces


def row(benchmark: str,
        what: str,
        values: list[float] = (),  # one a repeat
        unit: str = "",
        threads: int | str = "",
        flops: int = 0,
        of_peak: float | None = None,  # share of the matrix peak at that many threads
        note: str = "",
        ) -> dict:  # by COLUMNS
    "A line of the table."
    spread = {"min": min(values), "median": median(values), "max": max(values)} if values else {}
    cells = {"benchmark": benchmark, "what": what, "threads": threads, "unit": unit, **spread, "repeats": len(values),
             "gflop": flops / 1e9 if flops else None, "of_peak": of_peak, "note": note}
    return {column: cells.get(column) for column in COLUMNS}


def time_row(bench: Bench,
             benchmark: str,
             piece: Piece,
             count: int | None = None,  # things that a call does; the row is then in things a second
             unit: str = "s",
             note: str = "",
             ) -> dict:
    "What a piece took."
    values = [count / seconds for seconds in piece.seconds] if count else piece.seconds
    of_peak = piece.flops / median(piece.seconds) / bench.peaks[piece.threads] if piece.flops else None
    return row(benchmark, piece.what, values, unit, piece.threads, piece.flops, of_peak, note)


def ratio_row(benchmark: str,
              what: str,
              over: list[float],  # by round
              under: list[float],  # of the same rounds
              threads: int | str = "",
              note: str = "",
              ) -> dict:
    "A ratio, pair by pair."
    return row(benchmark, what, [a / b for a, b in zip(over, under)], "x", threads, note=note)


def config_of(name: str, sizes: Sizes) -> RunConfig:
    "A preset as it is measured, the paper's at a smaller width; without an end, so that the learning rate stays up."
    changes = {"widths": (sizes.width,), "attention": True} if name == "paper" else {}
    return preset(name, batch_size=sizes.batch, steps=1_000_000, **changes)


def stepper(config: RunConfig, device: str) -> Callable[[], float]:
    "A training step as the loop takes it, its batch of pictures included."
    return partial(train_step, start(config, device), config, make_data(config), make_diffusion(config), device)


def matrix_speed(device: str, size: int) -> float:
    "FLOP/s of a product of float32 matrices, best of five."
    a, best = torch.ones(size, size, device=device), math.inf
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        if device != "cpu": torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size ** 3 / best


def peak_rows(bench: Bench) -> list[dict]:
    "The matrix peak, which also fills `bench.peaks`."
    size, rows, speeds = bench.sizes.matrix, [], {1: [], 2: []}
    for _ in range(bench.sizes.rounds):
        for threads, found in speeds.items():
            torch.set_num_threads(threads)
            found.append(matrix_speed(bench.device, size))
    for threads, found in speeds.items():
        bench.peaks[threads] = max(found)
        rows.append(row("peak", f"float32 matrices of {size} x {size}", [speed / 1e9 for speed in found], "GFLOP/s",
                        threads, 2 * size ** 3, note="shares are of the highest of these"))
    return rows


def step_rows(bench: Bench) -> list[dict]:
    "A training step: the fast preset against the paper's."
    sizes, pieces = bench.sizes, []
    names = {"fast": "fast", "paper": f"paper, width {sizes.width}"}
    steps = {name: stepper(config_of(name, sizes), bench.device) for name in names}
    for threads in (1, 2):
        for name, what in names.items():
            times = sizes.times if name == "fast" else 1
            pieces.append(Piece(f"{what}: a step of {sizes.batch}", steps[name], threads, times))
    measure(pieces, sizes.rounds, bench.device)
    rows = [time_row(bench, "step", piece) for piece in pieces]
    for fast, paper in (pieces[:2], pieces[2:]):
        rows.append(ratio_row("step", "paper / fast", paper.seconds, fast.seconds, fast.threads))
    return rows


def together_rows(bench: Bench) -> list[dict]:
    "A step of many seeds as one batched model against a step of each in turn."
    device, sizes = bench.device, bench.sizes
    count = sizes.runs if device == "cpu" else sizes.gpu_runs
    configs = [config_of("fast", sizes).changed(seed=seed) for seed in range(count)]
    singles = [stepper(config, device) for config in configs]
    batch = partial(step_together, start_together(configs, device), configs, [make_data(one) for one in configs],
                    make_diffusion(configs[0]), device)

    def in_turn():
        for step in singles: step()
    pieces = measure([Piece(f"fast: a step of {count} runs, in turn", in_turn),
                      Piece(f"fast: a step of {count} runs, as one model", batch)], sizes.rounds, device)
    pieces[1].flops = pieces[0].flops  # the counter takes a grouped convolution's backward pass for more than it is
    steps = preset("fast").steps
    note = f"{steps} steps of {count} runs: {steps * median(pieces[1].seconds):.0f} s as one model, without evaluations"
    rows = [*(time_row(bench, "together", piece) for piece in pieces),
            ratio_row("together", "in turn / as one model", pieces[0].seconds, pieces[1].seconds, 1, note)]
    if device == "cpu" and not torch.cuda.is_available():
        rows.append(row("together", f"fast: a step of {sizes.gpu_runs} runs on a GPU", note="no GPU at hand"))
    return rows


def drawer(config: RunConfig, device: str, batches: int, steps: int) -> Callable[[], None]:
    "Generation of batches of pictures, of all classes in turn."
    diffusion, graph = make_diffusion(config), config.graph
    network = make_network(config).to(device, memory_format=torch.channels_last).eval()
    pipe = ConceptPipeline(network, diffusion.scheduler(config.sampler), graph, diffusion, config.condition)
    pipe.set_progress_bar_config(disable=True)
    classes = (list(graph.evaluated) * config.batch_size)[:config.batch_size]
    random = generator(0, "benchmark", device=device)

    def draw():
        for _ in range(batches): pipe(classes, num_inference_steps=steps, generator=random, output_type="pt")
    return draw


def generation_rows(bench: Bench) -> list[dict]:
    "Pictures: the fast preset's whole sampler against a few steps of the paper's, and what those amount to."
    sizes, few = bench.sizes, 2
    fast, paper = config_of("fast", sizes), config_of("paper", sizes)
    steps, batches = paper.num_inference_steps, sizes.drawn // sizes.batch
    pieces = measure([
        Piece(f"fast: {sizes.drawn} pictures, {fast.num_inference_steps} steps",
              drawer(fast, bench.device, batches, fast.num_inference_steps), 2),
        Piece(f"paper, width {sizes.width}: {sizes.batch} pictures, {few} of {steps} steps",
              drawer(paper, bench.device, 1, few), 2)], sizes.rounds, bench.device)
    scale = batches * steps / few
    total = [seconds * scale for seconds in pieces[1].seconds]
    note = f"extrapolated, not measured: the row above x {scale:g}, as every step of every picture costs the same"
    return [*(time_row(bench, "generate", piece, note=f"{sizes.batch} at once") for piece in pieces),
            row("generate", f"paper, width {sizes.width}: {sizes.drawn} pictures, {steps} steps", total, "s", 2,
                round(pieces[1].flops * scale), note=note),
            ratio_row("generate", "paper / fast", total, pieces[0].seconds, 2, "the paper's extrapolated")]


def render_rows(bench: Bench) -> list[dict]:
    "The renderer, jitter drawn anew for every picture."
    config, random, pieces = preset("fast"), generator(0, "benchmark"), []
    every = torch.tensor(config.graph.index(config.graph.classes))
    for count in (bench.sizes.batch, bench.sizes.rendered):
        classes = every.repeat(-(-count // len(every)), 1)[:count]
        action = partial(draw_images, config.graph, classes, random, config.nuisance, config.image_size)
        pieces.append(Piece(f"renderer, {count} at once", action, 1, bench.sizes.times))
    measure(pieces, bench.sizes.many)
    met = lambda piece, count: "met" if count / median(piece.seconds) >= AIM else "missed"
    return [time_row(bench, "render", piece, count, "pictures/s", f"aim {AIM:,}: {met(piece, count)}; on the CPU")
            for piece, count in zip(pieces, (bench.sizes.batch, bench.sizes.rendered))]


def new_probe(kind: str, config: RunConfig, device: str) -> Probe:
    "An untrained probe, which is as quick as a trained one."
    cardinalities = tuple(len(variable.values) for variable in config.graph.variables)
    return Probe(kind, cardinalities, config.graph.names, config.image_size).to(device).eval()


def probe_rows(bench: Bench) -> list[dict]:
    "Both probes on the same pictures."
    config, count = preset("fast"), bench.sizes.probed
    classes = torch.tensor(config.graph.index((list(config.graph.classes) * count)[:count]))
    images = make_data(config).examples(classes, "benchmark").images
    pieces = [Piece(f"{kind} probe", partial(judge, new_probe(kind, config, bench.device), images, classes))
              for kind in ("cnn", "linear")]
    measure(pieces, bench.sizes.many, bench.device)
    note = "untrained, as quick as a trained one"
    return [time_row(bench, "probe", piece, count, "pictures/s", note) for piece in pieces]


def thread_rows(bench: Bench) -> list[dict]:
    "The fast preset's step on one thread and on two."
    step = stepper(config_of("fast", bench.sizes), bench.device)
    one, two = measure([Piece("fast: a step", step, threads, bench.sizes.times) for threads in (1, 2)],
                       bench.sizes.many, bench.device)
    return [time_row(bench, "threads", one), time_row(bench, "threads", two),
            ratio_row("threads", "one thread / two threads", one.seconds, two.seconds, "1, 2", "2 would be ideal")]


def train_beside(connection, sizes: Sizes, device: str) -> None:
    "In a second process, on one thread: train from one message to the next, then answer with the seconds of a step."
    torch.set_num_threads(1)
    step = stepper(config_of("fast", sizes), device)
    step()
    connection.send("ready")
    while connection.recv():
        begun, steps = time.perf_counter(), 0
        while not steps or not connection.poll():
            step()
            steps += 1
        connection.recv()
        connection.send((time.perf_counter() - begun) / steps)


def second_process(sizes: Sizes, device: str):
    "A process that trains when told to, and the connection to tell it."
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=train_beside, args=(there, sizes, device), daemon=True)
    process.start()
    there.close()  # so that waiting for a process that died is an error
    here.recv()
    return process, here


def process_rows(bench: Bench) -> list[dict]:
    "Training and evaluating in turn on two threads, against each in a process of its own on one thread."
    device, sizes, together = bench.device, bench.sizes, []
    config = config_of("fast", sizes)
    probes = {kind: new_probe(kind, config, device) for kind in ("cnn", "linear")}
    look = partial(evaluate, start(config, device), config, make_data(config), probes, sizes.judged, device)
    process, connection = second_process(sizes, device)

    def both():
        connection.send(True)
        begun = time.perf_counter()
        look()
        seconds = time.perf_counter() - begun
        connection.send(True)
        together.append((connection.recv(), seconds))
    turns = [Piece("a step", stepper(config, device), 2, sizes.times),
             Piece(f"an evaluation, {sizes.judged} pictures a class", look, 2)]
    measure([*turns, Piece("both at once", both)], sizes.rounds, device)
    connection.send(False)
    process.join()
    return [*(time_row(bench, "processes", piece) for piece in turns), *compare_processes(turns, together[1:])]


def compare_processes(turns: list[Piece],  # a step, an evaluation: on two threads, with nothing beside them
                      together: list[tuple[float, float]],  # their seconds on a thread each, at the same time
                      ) -> list[dict]:
    "What a second process is worth, at the fast preset's number of steps an evaluation."
    fast = preset("fast")
    every = fast.steps // len(fast.evaluation_steps)
    in_turn = [every * step + look for step, look in zip(*(piece.seconds for piece in turns))]
    at_once = [max(every * step, look) for step, look in together]
    work = [a / step + b / look for a, b, (step, look) in zip(*(piece.seconds for piece in turns), together)]
    what = f"{every} steps and an evaluation"
    return [row("processes", "a step, beside an evaluation", [step for step, _ in together], "s", "1 + 1"),
            row("processes", "an evaluation, beside training", [look for _, look in together], "s", "1 + 1"),
            row("processes", f"{what}, in turn", in_turn, "s", 2),
            row("processes", f"{what}, at once", at_once, "s", "1 + 1", note="the longer of the two"),
            ratio_row("processes", "in turn / at once", in_turn, at_once, "2, 1 + 1", "above 1: a second process wins"),
            row("processes", "work a second, at once / in turn", work, "x", "1 + 1, 2", note="if neither had to wait")]


def import_rows(bench: Bench) -> list[dict]:
    "What a user waits for first, each in a new process."
    load = "import time; begun = time.perf_counter(); import compdiff; print(time.perf_counter() - begun)"
    call = lambda code, *options: subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True,
                                                 check=True, cwd=ROOT).stdout
    loads, calls = [], []
    for _ in range(1 + bench.sizes.starts):
        loads.append(float(call(load)))
        begun = time.perf_counter()
        call("from compdiff.cli import main; main()", "--help")
        calls.append(time.perf_counter() - begun)
    return [row("import", "import compdiff", loads[1:], "s", note="aim 0.3"),
            row("import", "compdiff --help", calls[1:], "s", note="aim 1; Python's own start included")]


def resume_rows(bench: Bench) -> list[dict]:
    "From a checkpoint of the fast preset to the first step after it."
    config = config_of("fast", bench.sizes)
    step = stepper(config, bench.device)
    step()
    state, others = step.args[0], step.args[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "last.safetensors"
        save_checkpoint(state, config, path)

        def load():
            fresh = start(config, bench.device)
            load_checkpoint(fresh, config, path)
            return fresh
        pieces = measure([Piece("write a checkpoint", partial(save_checkpoint, state, config, path), 2),
                          Piece("network and optimisers made, checkpoint loaded", load, 2),
                          Piece("the same, and the first step", lambda: train_step(load(), *others), 2)],
                         bench.sizes.many, bench.device)
        size = path.stat().st_size / 1e6
    return [time_row(bench, "resume", pieces[0], note=f"{size:.1f} MB"),
            *(time_row(bench, "resume", piece, note="imports not included") for piece in pieces[1:])]


def emergence_rows(bench: Bench) -> list[dict]:
    "Seconds to emergence over seeds, from a table of runs that were made before."
    what, source = "fast: from the start to all classes at 0.9", ROOT / FAST_RUNS
    if not source.exists():
        note = (f"no {FAST_RUNS}: run `compdiff run --seed N` for each seed, and write there a list of seed, step and "
                "seconds (null where a class never came)")
        return [row("emergence", what, note=note)]
    runs = json.loads(source.read_text(encoding="utf-8"))
    seconds = [run["seconds"] for run in runs if run["seconds"] is not None]
    within, never = sum(one <= BAR for one in seconds), len(runs) - len(seconds)
    note = (f"{within} of {len(runs)} seeds within {BAR} s, {never} never; "
            f"read from {FAST_RUNS}, not run here")
    return [row("emergence", what, seconds, "s", note=note)]


def gpu_rows(bench: Bench) -> list[dict]:
    "Which GPU there is."
    if not torch.cuda.is_available(): return [row("cuda", "the same table with --device cuda", note="no GPU at hand")]
    name = torch.cuda.get_device_name()
    return [row("cuda", name, note="this table" if bench.device == "cuda" else "measured by --device cuda")]


BENCHMARKS = {"step": step_rows, "together": together_rows, "generate": generation_rows, "render": render_rows,
              "probe": probe_rows, "threads": thread_rows, "processes": process_rows, "import": import_rows, "resume": resume_rows,
              "emergence": emergence_rows, "cuda": gpu_rows}


def machine() -> dict:
    "What was measured on."
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(), "system": platform.system(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None}


def versions() -> dict:
    "Of what was measured."
    packages = {name: version(name) for name in ("torch", "diffusers", "numpy")}
    return {"compdiff": __version__, "python": platform.python_version(), **packages}


def cpu_seconds() -> tuple[float, float] | None:  # None where /proc does not say
    "What all processes have used so far, and what this one and its children have."
    stat = Path("/proc/stat")
    if not stat.exists(): return None
    user, nice, system, _, _, *interrupts = map(int, stat.read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


def describe_others(cores: float | None) -> str:
    "How much else the machine had to do."
    if cores is None: return "unknown"
    warning = "; figures suffer from that, most of all those of two threads" if cores > 0.1 else ""
    return f"{cores:.2f} cores on average meanwhile{warning}"


def number(value) -> str:
    "A cell of the table, to three digits."
    if not isinstance(value, float): return "" if value is None else str(value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


PAGE = """# Benchmarks

Made by `python benchmarks/run.py` on device {device} in {seconds:.0f} s.{quick}

- machine: {machine}
- other processes: {others}
- versions: {versions}

Things compared were measured in turn, A B A B, and a ratio is taken pair by pair. `gflop` (10^9 operations a call,
counted by torch.utils.flop_counter) has matrix products, convolutions and attention only; `of_peak` is the share that
they are of this machine's measured float32 matrix peak, at the same number of threads and the median time.

{table}
"""


def markdown(result: dict) -> str:
    "The result as a page."
    about = lambda facts: ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    lines = [COLUMNS, ["---"] * len(COLUMNS)]
    for one in result["rows"]:
        share = None if one["of_peak"] is None else f"{one['of_peak']:.0%}"
        lines.append([number(cell) for cell in {**one, "of_peak": share}.values()])
    return PAGE.format(
        device=result["device"], seconds=result["seconds"], machine=about(result["machine"]),
        versions=about(result["versions"]), others=describe_others(result["others"]),
        quick=" Made with --quick: sizes too small to mean anything." if result["quick"] else "",
        table="\n".join("| " + " | ".join(cells) + " |" for cells in lines))


def write(result: dict, folder: Path) -> None:
    "Both files, each whole."
    write_json(folder / "results.json", result)
    with whole(folder / "RESULTS.md") as file: file.write_text(markdown(result), encoding="utf-8")


def options() -> argparse.Namespace:
    "The command line."
    parser = argparse.ArgumentParser(description="Measure everything side by side; write results.json and RESULTS.md.")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--out", type=Path, help="folder to write to; default: this script's, if all is measured")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available(): parser.error("device: no GPU at hand; allowed: cpu")
    if not given.out and not given.quick and not given.only: given.out = ROOT / "benchmarks"
    return given


def main() -> None:
    "Measure, print, write."
    given, begun, before = options(), time.perf_counter(), cpu_seconds()
    bench = Bench(given.device, QUICK if given.quick else Sizes())
    rows = peak_rows(bench)
    for name in given.only or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr)
        rows += BENCHMARKS[name](bench)
    seconds, after = time.perf_counter() - begun, cpu_seconds()
    others = before and max(0.0, after[0] - before[0] - after[1] + before[1]) / seconds
    result = {"machine": machine(), "others": others, "versions": versions(), "device": given.device,
              "quick": given.quick, "seconds": seconds, "rows": rows}
    print(markdown(result))
    if given.out: write(result, given.out)


if __name__ == "__main__": main()
