"""What was measured, as a table, as JSON and as a picture."""

import json
import os
import platform
import re
import statistics
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round gave. ``floor`` is what it is held against, in the same unit; None: it stands for itself."""

    value: float
    floor: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def compared(self) -> float:
        return self.value if self.floor is None else self.value / self.floor


@dataclass(frozen=True, slots=True)
class Measure:
    """``must`` and ``aim`` bound what is compared: the ratio to the floor, or the value itself where there is none.
    ``take`` gives a sample a round, for as many rounds as it is asked for."""

    name: str
    title: str
    unit: str
    must: float
    aim: float
    take: Callable[[], Generator[Sample]]
    less_is_better: bool = False

    def reached(self, compared: float, bound: float) -> bool:
        return compared <= bound if self.less_is_better else compared >= bound


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of all rounds; ``all_compared`` has each round's."""

    name: str
    title: str
    unit: str
    must: float
    aim: float
    less_is_better: bool
    value: float
    floor: float | None
    compared: float
    all_compared: Sequence[float]
    more: Mapping[str, float]
    reached: str


def result_of(measure: Measure, samples: Sequence[Sample]) -> Result:
    compared = statistics.median(sample.compared for sample in samples)
    every = [measure.reached(sample.compared, measure.must) for sample in samples]
    word = "aim" if measure.reached(compared, measure.aim) else "must" if all(every) else "no"
    floors = [sample.floor for sample in samples if sample.floor is not None]
    return Result(
        measure.name,
        measure.title,
        measure.unit,
        measure.must,
        measure.aim,
        measure.less_is_better,
        statistics.median(sample.value for sample in samples),
        statistics.median(floors) if floors else None,
        compared,
        [sample.compared for sample in samples],
        {name: statistics.median(sample.more[name] for sample in samples) for name in samples[0].more},
        word,
    )


def machine() -> Mapping[str, object]:
    """What the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": named[1] if named else platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def show(results: Sequence[Result], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("measure", "", "floor", "compared", "each round", "must", "aim", "reached"):
        table.add_column(title, justify="left" if title in ("measure", "reached") else "right")
    for one in results:
        table.add_row(
            one.title,
            f"{_number(one.value)} {one.unit}",
            "" if one.floor is None else _number(one.floor),
            _number(one.compared),
            " ".join(_number(value) for value in one.all_compared),
            _number(one.must),
            _number(one.aim),
            one.reached,
        )
    console.print(table)
    for one in results:
        if one.more:
            console.print(f"{one.title}: " + ", ".join(f"{name} {_number(value)}" for name, value in one.more.items()))


def write(results: Sequence[Result], folder: Path) -> None:
    """``results.json`` and ``results.svg`` in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"machine": machine(), "results": [asdict(result) for result in results]}
    (folder / "results.json").write_text(json.dumps(told, indent=2) + "\n")
    _draw(results, folder / "results.svg")


def _draw(results: Sequence[Result], path: Path) -> None:
    """A bar per measure: how far it is beyond what must be reached, and where the aim is."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "ats-router"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(results) + 1.2), layout="constrained")
    for place, one in enumerate(reversed(results)):
        axes.barh(place, _beyond(one, one.compared), color="tab:red" if one.reached == "no" else "tab:green")
        axes.plot(_beyond(one, one.aim), place, "k|", markersize=14)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(results)), [one.title for one in reversed(results)])
    axes.set_xlabel("times what must be reached (line at 1); the mark is the aim")
    figure.savefig(path)
    pyplot.close(figure)


def _beyond(result: Result, compared: float) -> float:
    return result.must / compared if result.less_is_better else compared / result.must


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
