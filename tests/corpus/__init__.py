"""Model files with a known truth, for measuring scanners.

`malicious` and `malicious_heldout` hold files that really run something when they are loaded: each touches one
marker file and does nothing else. `benign` and `benign_heldout` hold data-only files saved the ordinary way.
The held-out modules contain whole families that no scanner was tuned on; figures on them are stated separately.
`fire` loads files in forked children and says which markers appeared; `assemble` writes pickle opcodes; `ways` saves
objects the way their libraries do.

Run `python -m corpus.fire` inside `tests/` to see every malicious file fire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Built = tuple[str, bytes, str]


@dataclass(frozen=True)
class Malicious:
    """A file that touches `marker` when `loader` opens it: `build(marker) -> (filename, content, loader)`."""

    name: str
    family: str
    build: Callable[[Path], Built]


@dataclass(frozen=True)
class Benign:
    """A data-only object: `make()` gives it, `way` names how it is saved (see `ways`)."""

    name: str
    family: str
    make: Callable[[], object]
    way: str


@dataclass
class Corpus:
    """Named files in families, in the order in which they were added."""

    files: dict[str, Malicious | Benign] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Malicious | Benign]:
        return iter(self.files.values())

    def __len__(self) -> int:
        return len(self.files)

    @property
    def families(self) -> set[str]:
        return {file.family for file in self}

    def add(self, file: Malicious | Benign) -> None:
        if file.name in self.files:
            raise ValueError(f"two files are named {file.name}")
        self.files[file.name] = file

    def malicious(self, family: str, filename: str = "model.pkl", loader: str = "pickle"):
        """Return `put(name, content, filename=..., loader=...)`, where `content(marker)` gives the file's bytes."""

        def put(name: str, content: Callable[[Path], bytes], filename: str = filename, loader: str = loader) -> None:
            self.add(Malicious(f"{family}/{name}", family, lambda marker: (filename, bytes(content(marker)), loader)))

        return put

    def benign(self, family: str, *ways: str):
        """Return `put(name, make, *ways)`: the object saved each way, by default those given here."""

        def put(name: str, make: Callable[[], object], *chosen: str) -> None:
            for way in chosen or ways:
                self.add(Benign(f"{family}/{name}/{way}", family, make, way))

        return put
