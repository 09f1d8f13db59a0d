"""The gallery: what every experiment leaves for people to look at, and the index of it.

    python -m scripts.gallery

writes the index, `results/README.md`, again from the files under `results/gallery/` alone; `python -m scripts.reproduce` fills them.
"""

import dataclasses
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

from dltheory.lab import store
from dltheory.lab.claim import MARKS, number

LIGHT = 300_000
"""A PNG of the gallery has fewer bytes."""
ABOUT, CLAIMS = "configuration.json", {"run": "claims.json", "sweep": "sweep_claims.json"}
PICTURES = {"figure": "run", "sweep": "figure sweep"}
FILES = {*CLAIMS.values(), *(f"{picture}.{kind}" for picture in PICTURES for kind in ("png", "pdf"))}
"""What an entry may hold beside `ABOUT`."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One experiment of the gallery: what `ABOUT` says, its claims by where they are from, and the pictures it has."""

    name: str
    about: dict[str, Any]
    claims: dict[str, list[dict[str, Any]]]
    pictures: tuple[str, ...]

    @property
    def all_claims(self) -> list[dict[str, Any]]:
        """Those of the run, then those across the runs of the sweep."""
        return [claim for claims in self.claims.values() for claim in claims]


def directory() -> Path:
    """Where the gallery is."""
    return store.results() / "gallery"


def publish(entry: Path, files: dict[str, Path], about: dict[str, Any]) -> None:
    """Make `entry` hold these files ({name: source}) and `about`. Each appears whole; a picture that is too heavy loses colours."""
    with store.storing(entry):
        entry.mkdir(parents=True, exist_ok=True)
        contents = {name: source.read_bytes() for name, source in files.items()}
    for name, content in contents.items():
        shown = light(content) if name.endswith(".png") else content
        store.replace_file(entry / name, lambda draft, shown=shown: draft.write_bytes(shown))
    for name in FILES - set(files):
        (entry / name).unlink(missing_ok=True)
    store.write_json(entry / ABOUT, about)


def light(png: bytes, most: int = LIGHT) -> bytes:
    """A PNG of as many pixels and fewer than `most` bytes: itself, or with fewer colours; `ValueError` if no colours are few enough."""
    if len(png) < most:
        return png
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    opaque = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        out = io.BytesIO()
        opaque.quantize(colours).save(out, "PNG", optimize=True)
        if out.tell() < most:
            return out.getvalue()
    raise ValueError(f"a picture of {len(png)} bytes does not get below {most} bytes with 16 colours")


def entries() -> list[Entry]:
    """What the gallery holds, by name."""
    return [_entry(path.parent) for path in sorted(directory().glob(f"*/{ABOUT}"))]


def _entry(path: Path) -> Entry:
    claims = {kind: _read(path / file) for kind, file in CLAIMS.items() if (path / file).exists()}
    pictures = tuple(picture for picture in PICTURES if (path / f"{picture}.png").exists())
    return Entry(path.name, _read(path / ABOUT), claims, pictures)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError:
        raise ValueError(
            f"{path}: is truncated or not JSON (python -m scripts.reproduce only={path.parent.name} writes it again)"
        ) from None


def write_index() -> Path:
    """Write the index from the files of the gallery."""
    path, text = store.results() / "README.md", index(entries())
    store.replace_file(path, lambda draft: draft.write_text(text))
    return path


def index(found: list[Entry]) -> str:
    """The index as Markdown: a table of all experiments, then each with its pictures, claims and cost."""
    head = [
        "# Results",
        "",
        "What the experiments show, as `python -m scripts.reproduce` left it: pictures (each leads to its PDF), claims and their cost.",
        "✓ holds, ✗ fails, · open. The numbers of all claims are in `claims.json` and `sweep_claims.json` beside the pictures, and in",
        f"`{ABOUT}` what they were made of and with.",
        "",
        "| experiment | claims | size | runs | computed in |",
        "|---|---|---|---|---|",
    ]
    cost = lambda e: e.about.get("cost", {})
    rows = [
        f"| [{e.name}](#{e.name}) | {counts(e.all_claims)} | {e.about.get('size', '')} "
        f"| {cost(e).get('runs', '')} | {duration(cost(e).get('computed_seconds', 0.0))} |"
        for e in found
    ]
    return "\n".join([*head, *rows, *(line for e in found for line in section(e))]) + "\n"


def section(entry: Entry) -> list[str]:
    """The lines of the index about one experiment."""
    about, where = entry.about, f"gallery/{entry.name}"
    show = lambda p: f'<a href="{where}/{p}.pdf"><img src="{where}/{p}.png" width="400" alt="{entry.name}, {PICTURES[p]}"></a>'
    where_from = {"run": "The run", "sweep": "Across the runs of the sweep"}
    return [
        *("", f"## {entry.name}", ""),
        *("\n".join(show(picture) for picture in entry.pictures), ""),
        *(plain(about.get("claim", "")), "", f"Source: {plain(about.get('source', ''))}", ""),
        *(f"    {command}" for command in about.get("commands", [])),
        "",
        *(f"- {where_from[kind]}: {counts(claims)}" for kind, claims in entry.claims.items()),
        *(f"- {failing(claim)}" for claim in entry.all_claims if claim["verdict"] == "fails"),
        *(f"- ✗ the {kind} failed" for kind in about.get("failed", [])),
        *(f"- {text}" for text in [made(about)] if text),
    ]


def made(about: dict[str, Any]) -> str:
    """What the runs cost, on what, from which commit."""
    cost, git = about.get("cost", {}), about.get("git", {})
    if not cost:
        return ""
    where = f"{about['device']['count']} × {about['device']['kind']}, jax {about['versions']['jax']}"
    commit = f", commit {git['commit'][:12]}{' and changes' * git['dirty']}" if git else ""
    return f"{cost['runs']} runs, computed in {duration(cost['computed_seconds'])} at size={about['size']} ({plain(where + commit)})"


def failing(claim: dict[str, Any]) -> str:
    """A claim that fails, with its numbers."""
    kind = "" if claim["gated"] else " (reported)"
    return f"✗ {plain(claim['statement'])}: {number(claim)}, expected {claim['expected']}{kind}"


def counts(claims: list[dict[str, Any]]) -> str:
    """How many hold, fail and are open: "9 ✓ 1 ✗ 2 ·"."""
    return " ".join(f"{sum(c['verdict'] == verdict for c in claims)} {mark}" for verdict, (mark, _) in MARKS.items())


def duration(seconds: float) -> str:
    """Seconds as people say them: "40 s", "3 min", "2.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#$])", r"\\\1", text)


def main(arguments: list[str]) -> int:
    """Write the index and say where it is; 1 if the gallery is damaged, 2 if there are arguments."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    if arguments:
        print(f"error: {arguments[0]}: must be left out, there are no options", file=sys.stderr)
        return 2
    try:
        print(write_index())
    except (ValueError, OSError) as error:
        print(f"error: {store.one_line(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
