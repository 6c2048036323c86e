"""README and quick start, word by word, on a Debian that has nothing; ``make test-strangers``.

Needs root, Debian and mmdebstrap. A cell is a chroot with python3, venv, pip and make, a person who is not
root, umask 077, and a folder named as people name folders. The commands are those of the pages. Only
``make test`` is left out, unless TESTS=1: it takes ten minutes in each cell. All that is made lies under
``.matrix/strangers``: the chroots, which are kept, and a log for each cell. Results go to ``strangers.json``
beside this file, where cells that were not run again keep theirs, and from there into ``docs/support.md``.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from doc_snippets import BASH
from matrix_report import ROOT, STRANGERS, Result, keep, write_tables

LAB = ROOT / ".matrix" / "strangers"
HOME = Path("home/stranger")
FOLDER = "Mein Ordner é 100%"
USER = 1000
PACKAGES = "python3,python3-venv,python3-pip,make,ca-certificates,mount"
# Debian's own Python, and others from this machine.
CELLS = [("bookworm", "3.11"), ("bookworm", "3.12"), ("trixie", "3.13"), ("trixie", "3.12")]
OWN = {"bookworm": "3.11", "trixie": "3.13"}
NUMBERS = {"bookworm": "12", "trixie": "13"}
# The registry as this machine reaches it.
PASSED_ON = ("PIP_CERT", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "HTTPS_PROXY", "https_proxy")

BEGIN = """\
set -euo pipefail
umask 077
cd "$HOME/{folder}"
took() {{ times >"$HOME/times"; echo "TOOK $SECONDS $(tail -n 1 "$HOME/times") $1"; }}
fresh() {{ deactivate 2>/dev/null || true; rm -rf "$HOME/environment"; python3 -m venv "$HOME/environment"; \
. "$HOME/environment/bin/activate"; }}
python3 --version
"""
# Enter and Ctrl-C of a person.
UP = """\
set -m
make up >"$HOME/up.log" 2>&1 & up=$!
until grep -q Ctrl-C "$HOME/up.log"; do kill -0 $up || {{ cat "$HOME/up.log"; exit 1; }}; sleep 0.5; done
took '{line}: there'
kill -INT -- -$up
wait $up || true
set +m
grep "landed files" "$HOME/up.log"
"""
SANDBOX = """\
{line} >"$HOME/sandbox.log" 2>&1 &
sandbox=$!
trap 'kill $(jobs -p)' EXIT
until grep -q ^export "$HOME/sandbox.log"; do
    kill -0 $sandbox || {{ cat "$HOME/sandbox.log"; exit 1; }}
    sleep 0.5
done
eval "$(grep ^export "$HOME/sandbox.log")"
"""
# As docs/command-line.md says how to rehearse login, where an Airflow has its database.
REHEARSAL = """\
airflow db migrate
""" + SANDBOX.format(line=".venv/bin/python -m airflow_provider_snav.sandbox --port 0")
# The member opens the page and presses Allow.
BROWSER = """\
#!/usr/bin/env python3
import sys
from urllib.request import urlopen

urlopen(sys.argv[1]).read()
urlopen(sys.argv[1], data=b"decision=allow").read()
"""
_TIME = re.compile(r"(\d+)m([\d.]+)s")
_TOOK = re.compile(r"^TOOK (?P<seconds>\d+) (?P<times>\S+ \S+) (?P<typed>.+)$", re.MULTILINE)
END = """\
test -n "$(find demo-output -name '*.csv')"
test -n "$(find snav-tour/lake -name '*.csv')"
"""


def main() -> int:
    """Run the chosen cells; print how long each command took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debian", nargs="*", choices=OWN, default=list(OWN))
    parser.add_argument("--python", nargs="*", default=["3.11", "3.12", "3.13"])
    parser.add_argument("--tests", action="store_true", help="make test, too")
    chosen = parser.parse_args()
    failed = []
    for debian, python in CELLS:
        if debian in chosen.debian and python in chosen.python:
            code = _run(debian, python, script(chosen.tests))
            result = _result(debian, python, passed=not code)
            keep(STRANGERS, result, "debian", "python")
            write_tables()
            print(f"{debian}, Python {python}: {'FAILED' if code else 'passed'}", flush=True)
            for step in result["steps"]:
                print(f"  {step['cpu']:>4} s of CPU {step['seconds']:>5} s  {step['typed']}", flush=True)
            if code:
                failed.append(f"{debian}-{python}; see {_log(debian, python)}")
    print(f"Failed: {', '.join(failed)}." if failed else "All that ran passed.")
    return 1 if failed else 0


def script(tests: bool) -> str:
    """What is typed, in order: the README, then the quick start."""
    return BEGIN.format(folder=FOLDER) + "".join(_typed(tests)) + END


def _typed(tests: bool) -> Iterator[str]:
    for page in ("README.md", "docs/quick-start.md"):
        for block in (each for each in BASH if each.page == page):
            for line in block.code.splitlines():
                command = line.partition("  #")[0].strip()
                if command == "make up":
                    yield UP.format(line=command)
                elif command.startswith("python -m airflow_provider_snav.sandbox"):
                    # The README's is the quick start's.
                    yield SANDBOX.format(line=command) if page != "README.md" else ""
                elif command != "make test" or tests:
                    if page == "README.md" and command.startswith("pip install"):
                        yield "fresh\n"
                    if page == "README.md" and command.startswith("python -m airflow_provider_snav login"):
                        yield REHEARSAL
                    yield f"{command}\n"
                yield f"took {shlex.quote(command)}\n"


def _run(debian: str, python: str, typed: str) -> int:
    """Run a script in a chroot; its exit code."""
    root = _chroot(debian)
    home = root / HOME
    shutil.rmtree(home, ignore_errors=True)
    (home / FOLDER).mkdir(parents=True)
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", home / FOLDER], input=archive, check=True)
    (home / "typed.sh").write_text(typed, encoding="utf-8")
    (home / "browser").write_text(BROWSER, encoding="utf-8")
    (home / "browser").chmod(0o755)
    environment = {"HOME": f"/{HOME}", "PATH": "/usr/bin:/bin", "USER": "stranger", "LANG": "C.UTF-8"}
    # In the background, as browsers are.
    environment["BROWSER"] = f"/{HOME}/browser %s &"
    environment |= {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    mounts = [("/proc", "proc"), ("/dev", "dev"), (LAB / "cache", HOME / ".cache")]
    if python != OWN[debian]:
        mounts.append((_interpreter(python), "opt/python"))
        environment |= {"PATH": "/opt/python/bin:/usr/bin:/bin", "LD_LIBRARY_PATH": "/opt/python/lib"}
    (LAB / "cache").mkdir(exist_ok=True)
    for _, target in mounts:
        (root / target).mkdir(parents=True, exist_ok=True)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", home, LAB / "cache"], check=True)
    commands = [
        shlex.join(["mount", "--rbind", str(source), str(root / target)]) for source, target in mounts
    ]
    inside = ["env", "-i", *(f"{name}={value}" for name, value in environment.items())]
    inside += ["bash", f"/{HOME}/typed.sh"]
    commands.append(shlex.join(["exec", "chroot", f"--userspec={USER}:{USER}", str(root), *inside]))
    with _log(debian, python).open("w") as log:
        # The mounts end with the process.
        private = ["unshare", "--mount", "bash", "-euc", "\n".join(commands)]
        return subprocess.run(private, stdout=log, stderr=log, check=False).returncode


def _result(debian: str, python: str, *, passed: bool) -> Result:
    """How a cell went, from its log."""
    steps: dict[str, Result] = {}
    seconds, cpu = 0, 0.0
    for match in _TOOK.finditer(_log(debian, python).read_text()):
        now = int(match["seconds"])
        used = sum(60 * float(minutes) + float(rest) for minutes, rest in _TIME.findall(match["times"]))
        # Some commands stand in both pages.
        step = steps.setdefault(match["typed"], {"typed": match["typed"], "seconds": 0, "cpu": 0})
        step["seconds"] += now - seconds
        step["cpu"] += round(used - cpu)
        seconds, cpu = now, used
    return {
        "debian": NUMBERS[debian],
        "python": python,
        "passed": passed,
        "seconds": seconds,
        "cpu": round(cpu),
        "date": str(datetime.now(UTC).date()),
        "steps": list(steps.values()),
    }


def _chroot(debian: str) -> Path:
    """The root of a Debian, made once."""
    root = LAB / debian
    if not root.exists():
        LAB.mkdir(parents=True, exist_ok=True)
        archive = LAB / f"{debian}.tar"
        mirror = "http://deb.debian.org/debian"
        command = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={PACKAGES}", debian, archive, mirror]
        subprocess.run(command, check=True)
        root.mkdir()
        subprocess.run(["tar", "x", "-C", root, "-f", archive, "--exclude=./dev/*"], check=True)
        archive.unlink()
    for file in ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt"):
        shutil.copy(f"/{file}", root / file)
    with (root / "etc/passwd").open("r+") as passwd:
        if "stranger" not in passwd.read():
            passwd.write(f"stranger:x:{USER}:{USER}::/{HOME}:/bin/bash\n")
    return root


def _interpreter(python: str) -> Path:
    """The folder of a Python of this machine."""
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    return max(versions.glob(f"{python}.*"))


def _log(debian: str, python: str) -> Path:
    return LAB / f"{debian}-{python}.txt"


if __name__ == "__main__":
    sys.exit(main())
