"""Mutated programs through nkimigrate until the time is up; `make fuzz`.

Each failure is shown with a smaller input that fails in the same way, and kept in build/fuzz.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import fuzzing  # noqa: E402
import seeds as programs  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, help="folders whose kernels are mutated, too")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--start", type=int, default=0, help="the number of the first round")
    parser.add_argument("--keep", type=Path, default=ROOT / "build/fuzz")
    asked = parser.parse_args()
    texts = programs.from_checkouts(asked.checkouts) or programs.all_seeds()
    if asked.checkouts:
        texts += programs.all_seeds()[::8]
    end = time.monotonic() + asked.seconds
    seed, kinds = asked.start, Counter[str]()
    while time.monotonic() < end:
        failure = fuzzing.one_round(seed, texts)
        if failure:
            _kept(failure, kinds, asked.keep)
        seed += 1
    print(f"rounds {asked.start} to {seed - 1} from {len(texts)} programs: {sum(kinds.values())} failures")
    for kind, count in kinds.most_common():
        print(f"{count:6} {kind}")
    return 1 if kinds else 0


def _kept(failure: fuzzing.Failure, kinds: Counter[str], folder: Path) -> None:
    """Show the first failure of its kind, smaller, and keep every one."""
    kind = fuzzing.kind(failure.story)
    kinds[kind] += 1
    folder.mkdir(parents=True, exist_ok=True)
    if kinds[kind] <= 2:
        failure = fuzzing.smaller(failure)
        print(f"== round {failure.seed}, form {failure.form}: {failure.story}\n", flush=True)
    (folder / f"{failure.seed}-{failure.form}.py").write_text(
        failure.text, encoding="utf-8", errors="surrogatepass"
    )


if __name__ == "__main__":
    sys.exit(main())
