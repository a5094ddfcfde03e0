"""A package index on the own machine, wheels built by hand, and pip kept away from every other index.

For showing what pip does: the index speaks the simple repository API (PEP 503, and PEP 691 with upload times), pip is
the real one, in a child process.
"""

import base64
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from classroom.drills.loopback import LoopbackServer
from mlsecops.supply_chain.access import quiet_environment


def build_wheel(name: str, version: str, files: Mapping[str, str], requires: Sequence[str] = ()) -> tuple[str, bytes]:
    """Return a wheel's file name and its bytes: a zip archive with the files, METADATA, WHEEL and RECORD (PEP 427).

    Args:
        name, version: the distribution's, as its author writes them.
        files: path inside site-packages → text, such as `{"salary/__init__.py": "..."}`. A `.pth` file works as well.
        requires: requirements, such as `["numpy>=2"]`.

    The same input gives the same bytes on every system, so a digest of it can be pinned.
    """
    stem = f"{canonicalize_name(name).replace('-', '_')}-{version}"
    headers = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    content = dict(files)
    content[f"{stem}.dist-info/METADATA"] = "\n".join(["Metadata-Version: 2.1", *headers]) + "\n"
    content[f"{stem}.dist-info/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = [f"{path},sha256={_record_hash(text)},{len(text.encode())}" for path, text in content.items()]
    content[f"{stem}.dist-info/RECORD"] = "\n".join([*record, f"{stem}.dist-info/RECORD,,", ""])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # stored, not deflated: zlib's output differs between builds
        for path, text in content.items():
            entry = zipfile.ZipInfo(path)  # its date is 1980, always
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, text)
    return f"{stem}-py3-none-any.whl", buffer.getvalue()


def _record_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class PackageIndex(LoopbackServer):
    """A package index on 127.0.0.1: `with PackageIndex() as index: index.add(...)`, then `index.url` is for pip.

    `asked` lists the projects that clients asked for, in order: what an index learns about its users.
    """

    def __init__(self):
        self._projects: dict[str, dict[str, tuple[bytes, str]]] = {}
        self.asked: list[str] = []

    def add(self, name, version, files, requires=(), uploaded="2026-01-05T09:00:00Z") -> str:
        """Publish a wheel and return its SHA-256 (hex). The same version once more replaces the file.

        Args:
            name, version, files, requires: see `build_wheel`.
            uploaded: the upload time that the index states, ISO 8601 in UTC.
        """
        filename, content = build_wheel(name, version, files, requires)
        self._projects.setdefault(canonicalize_name(name), {})[filename] = (content, uploaded)
        return hashlib.sha256(content).hexdigest()

    @property
    def url(self) -> str:
        return f"{self.address}/simple/"

    def get(self, path, headers):
        kind, _, name = path.strip("/").partition("/")
        if kind == "files":
            for files in self._projects.values():
                if name in files:
                    return 200, "application/octet-stream", files[name][0]
        if kind != "simple" or not name or canonicalize_name(name) not in self._projects:
            if kind == "simple" and name:
                self.asked.append(canonicalize_name(name))
            return 404, "text/plain", b"not found"
        self.asked.append(canonicalize_name(name))
        files = self._projects[canonicalize_name(name)]
        wanted = "application/vnd.pypi.simple.v1+json"
        if wanted in headers.get("Accept", ""):
            entries = [
                {
                    "filename": filename,
                    "url": f"{self.address}/files/{filename}",
                    "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
                    "upload-time": uploaded,
                    "size": len(content),
                }
                for filename, (content, uploaded) in files.items()
            ]
            versions = sorted({filename.split("-")[1] for filename in files})
            page = {"meta": {"api-version": "1.1"}, "name": name, "files": entries, "versions": versions}
            return 200, wanted, json.dumps(page).encode()
        links = "".join(
            f'<a href="/files/{escape(filename)}#sha256={hashlib.sha256(content).hexdigest()}">{escape(filename)}</a>\n'
            for filename, (content, _) in files.items()
        )
        return 200, "text/html; charset=utf-8", f"<!DOCTYPE html><html><body>\n{links}</body></html>".encode()


@dataclass(frozen=True)
class Installed:
    """What a run of pip left behind: name → version, and pip's own first words when it refused."""

    packages: dict[str, str]
    refusal: str

    @property
    def ok(self) -> bool:
        """True when pip ended without an error."""
        return not self.refusal

    def __repr__(self) -> str:
        names = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return f"refused: {self.refusal}" if self.refusal else f"installed: {names}"


def pip_install(*arguments: str, target: Path, timeout: float = 120) -> Installed:
    """Run `pip install` in a child process, into the folder `target`, and return what became of it.

    The child sees no pip configuration, no `PIP_…` variable and no proxy, so that it knows the indexes in `arguments`
    and no others. It takes wheels only: building a source archive would run the author's code at once. With nothing
    in `arguments` that names an index, none is asked.

    Args:
        arguments: as typed after `pip install`, such as `"tourch", "--index-url", index.url`.
        target: a folder in a `workspace()`.
        timeout: seconds until pip is ended; that counts as a refusal.
    """
    target = Path(target)
    command = [sys.executable, "-m", "pip", "install", "--isolated", "--no-input", "--no-cache-dir", "--no-compile"]
    command += ["--retries", "0", "--disable-pip-version-check", "--only-binary", ":all:", "--target", str(target)]
    if not any(str(one).startswith(("-i", "--index-url", "--no-index", "--extra-index-url")) for one in arguments):
        command.append("--no-index")
    target.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [*command, *map(str, arguments)],
            cwd=target,
            env=quiet_environment(),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return Installed({}, f"no answer within {timeout:g} s")
    packages = {one.metadata["Name"]: one.version for one in metadata.distributions(path=[str(target)])}
    return Installed(dict(sorted(packages.items())), _first_error(done.stderr) if done.returncode else "")


def _first_error(text: str) -> str:
    errors = [line.removeprefix("ERROR:").strip() for line in text.splitlines() if line.startswith("ERROR:")]
    # The missing version is said second, the useful sentence comes first; the rest of it is advice.
    return errors[0].split(". ")[0].split(" (from versions")[0].rstrip(".") if errors else "pip failed"
