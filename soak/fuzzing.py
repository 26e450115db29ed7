"""The driver of every fuzz: damaged input, thousands of cases, each read or refused, never a crash.

A case is a function of the seed and its number. Cases run in forked children, a batch each, with 512 MiB of memory more
than they start with and one second of processor time a case. A child that dies or hangs is counted with its case, and
the next one goes on.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stormcast_tw.errors import BadInput, NotReady

BATCH, SECONDS, HUNG_SECONDS = 500, 1.0, 30
MEMORY = 512 * 2**20


@dataclass(frozen=True)
class Parser:
    """What is fuzzed: `case` makes damaged input of a seed and a number, `read` reads it."""

    case: Callable[[int, int], Any]
    read: Callable[[Any], object]
    """Raises BadInput for what is damaged; any other error is a finding."""
    good: Sequence[Any] = ()
    """Undamaged input: each must be read."""
    allowed: tuple[str, ...] = ("read", "BadInput")


@dataclass
class Outcome:
    """What became of the cases of one parser."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds of processor time."""
    memory: int = 0
    """Largest resident size of a child, bytes."""


def fuzz(parser: Parser, cases: int, seed: int) -> Outcome:
    """Run cases 0 to `cases`; raises what reading undamaged input raises."""
    for whole in parser.good:
        parser.read(whole)
    outcome, number = Outcome(), 0
    while number < cases:
        number = _batch(parser, seed, range(number, min(number + BATCH, cases)), outcome)
    return outcome


def _batch(parser: Parser, seed: int, numbers: range, outcome: Outcome) -> int:
    """Run cases in a child; return the number of the first that is still to be run."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _in_child(parser, seed, numbers, send)
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as lines:
        reports = [json.loads(line) for line in lines]
    _, status, usage = os.wait4(child, 0)
    outcome.memory = max(outcome.memory, usage.ru_maxrss * 1024)
    for number, (found, seconds) in zip(numbers, reports, strict=False):
        outcome.counts[found if found in parser.allowed else "FOUND"] += 1
        outcome.slowest = max(outcome.slowest, seconds)
        if found not in parser.allowed or seconds > SECONDS:
            outcome.findings.append(f"case {number}: {found} after {seconds:.2f} s")
    following = numbers.start + len(reports)
    if following < numbers.stop:
        how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "ended early"
        outcome.counts[how] += 1
        outcome.findings.append(f"case {following}: {how}")
        following += 1
    return following


def _in_child(parser: Parser, seed: int, numbers: range, send: int) -> None:
    with open("/proc/self/statm", "rb") as sizes:  # noqa: PTH123
        limit = int(sizes.read().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # C libraries complain there
    gc.freeze()  # what the parent made is no garbage of a case: collecting it can take a second
    for number in numbers:
        signal.alarm(HUNG_SECONDS)
        damaged, began = parser.case(seed, number), time.process_time()
        found = _found(parser, damaged)
        os.write(send, json.dumps([found, time.process_time() - began]).encode() + b"\n")


def _found(parser: Parser, damaged: object) -> str:
    try:
        parser.read(damaged)
    except (BadInput, NotReady) as error:
        return type(error).__name__ if "\n" not in str(error) else f"a message of several lines: {error!r}"[:200]
    except Exception as error:  # noqa: BLE001  what is looked for
        return repr(error)[:200]
    return "read"


def main(parsers: Mapping[str, Callable[[], Parser]], about: str | None, by_name: Sequence[str] = ()) -> None:
    """Fuzz what the command line names, or all but those `by_name`; print counts; exit with 1 if anything was found."""
    command = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("parsers", nargs="*", default=[name for name in parsers if name not in by_name])
    command.add_argument("--cases", type=int, default=20_000, help="of each parser")
    command.add_argument("--seed", type=int, default=1)
    asked, found = command.parse_args(), 0
    if unknown := set(asked.parsers) - set(parsers):
        command.error(f"{', '.join(sorted(unknown))}: not among {', '.join(parsers)}")
    for name in asked.parsers:
        began = time.monotonic()
        outcome = fuzz(parsers[name](), asked.cases, asked.seed)
        counts = ", ".join(f"{count} {what}" for what, count in sorted(outcome.counts.items()))
        cost = f"slowest {outcome.slowest:.3f} s of processor time, resident at most {outcome.memory / 2**20:.0f} MiB"
        seconds, findings = time.monotonic() - began, len(outcome.findings)
        print(f"{name}: {asked.cases} cases in {seconds:.0f} s: {counts}; {cost}, findings {findings}", flush=True)
        for finding in outcome.findings[:50]:
            print(f"  {finding}")
        found += len(outcome.findings)
    sys.exit(int(found > 0))
