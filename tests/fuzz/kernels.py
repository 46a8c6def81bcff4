"""Random kernels before and after the language step until the time is up; `make fuzz-kernels`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from randomkernels import kernel, tried  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--start", type=int, default=0, help="the number of the first kernel")
    asked = parser.parse_args()
    end, seed = time.monotonic() + asked.seconds, asked.start
    outcomes, failures = Counter[str](), 0
    while time.monotonic() < end:
        outcome, wrong = tried(seed)
        outcomes[outcome] += 1
        if wrong:
            failures += 1
            print(f"== kernel {seed}: {wrong}\n{kernel(seed)[0]}", flush=True)
        seed += 1
    print(f"kernels {asked.start} to {seed - 1}: {failures} differ")
    for outcome, count in outcomes.most_common():
        print(f"{count:6} {outcome}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
