"""Known vulnerabilities of what an installation brings, extras included; `make audit`.

Exits with 1 for a known vulnerability. When the advisory service cannot be reached nothing is known, which is said
and is no failure: a build must not depend on somebody else's service.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

EXTRAS = ("", "dask", "lsp")
_UNREACHABLE = (
    "ConnectionError",
    "ServiceError",
    "Max retries",
    "timed out",
    "resolve",
    "HTTPError",
    "Connection",
)


def installed(name: str, extras: tuple[str, ...], found: dict[str, str]) -> dict[str, str]:
    """Name → version of everything that a distribution requires here, however indirectly, and that is there."""
    for line in requires(name) or ():
        required = Requirement(line)
        marker = required.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if required.name.lower() in found:
            continue
        try:
            found[required.name.lower()] = version(required.name)
        except PackageNotFoundError:  # not on this platform, or an extra that is not installed
            continue
        installed(required.name, ("", *required.extras), found)
    return found


def audited(pinned: dict[str, str]) -> tuple[str, str]:
    """What pip-audit says of these versions: JSON, and what it complains of."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("".join(f"{name}=={number}\n" for name, number in sorted(pinned.items())))
        options = [
            "--no-deps",
            "--disable-pip",
            "--timeout",
            "10",
            "--format",
            "json",
            "--progress-spinner",
            "off",
        ]
        command = [sys.executable, "-m", "pip_audit", *options, "-r", str(listed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr.strip()


def judged(answer: str, complaint: str, count: int) -> tuple[int, list[str]]:
    """The exit code, and what to say."""
    try:
        found = json.loads(answer)["dependencies"]
    except (ValueError, KeyError):
        last = complaint.splitlines()[-1] if complaint else "no answer"
        return 0, [
            f"audit: the advisory service cannot be reached; {count} packages were NOT looked up ({last})"
        ]
    skipped = [one for one in found if "skip_reason" in one]
    bad = [one for one in found if one.get("vulns")]
    lines = [
        f"{one['name']} {one['version']}: {vuln['id']}, fixed in {', '.join(vuln['fix_versions']) or 'no release'}"
        for one in bad
        for vuln in one["vulns"]
    ]
    lines.append(
        f"audit: {len(found) - len(skipped)} packages looked up, {len(bad)} with known vulnerabilities"
    )
    if skipped:
        lines.append(
            f"audit: the advisory service does not know {len(skipped)} packages; they were NOT looked up"
        )
    return (1 if bad else 0), lines


def main() -> int:
    """Ask about the installed versions; the exit code."""
    pinned = installed("nkimigrate", EXTRAS, {})
    code, lines = judged(*audited(pinned), len(pinned))
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
