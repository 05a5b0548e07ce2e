"""Measure everything that must be fast, against floors in the same run.

`python -m benchmarks` starts what it needs on loopback, gives what is measured a core of its own where the system can
do that, repeats every measure, prints a table, and writes it as JSON and as a picture. It needs wrk, and
matplotlib for the picture. Exit code 1: something is below what must be reached, in any round.
"""

import argparse
import itertools
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import delivering, receiving, whole
from benchmarks.report import Measure, Result, result_of, show, write
from benchmarks.stand import NotMeasured

MEASURES = (*receiving.MEASURES, *delivering.MEASURES, *whole.MEASURES)
LONG = ("receive-memory", "backlog")
"""Each takes a quarter of an hour a round, so they have one round, and only where they are asked for."""


def taken(measure: Measure, rounds: int) -> Result:
    samples = measure.take()
    try:
        return result_of(measure, list(itertools.islice(samples, 1 if measure.name in LONG else rounds)))
    finally:
        samples.close()  # ends the processes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what must be fast.")
    names = [measure.name for measure in MEASURES]
    parser.add_argument("names", nargs="*", help=f"only these: {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=3, help="of each measure (default: 3)")
    parser.add_argument("--long", action="store_true", help=f"also {' and '.join(LONG)}")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="where results are written")
    given = parser.parse_args()
    if unknown := set(given.names) - set(names):
        parser.error(f"there is no measure {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    console = Console(width=160, highlight=False)
    results = []
    for measure in MEASURES:
        if measure.name in given.names or (not given.names and (given.long or measure.name not in LONG)):
            try:
                results.append(taken(measure, given.rounds))
            except NotMeasured as problem:
                console.print(f"{measure.title}: not measured: {problem}")
                continue
            show(results[-1:], console)
    console.print()
    show(results, console)
    write(results, given.out)
    console.print(f"\nWritten to {given.out}")
    return 1 if any(result.reached == "no" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
