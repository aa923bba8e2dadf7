"""What the examples must write: a second implementation of their report, and inputs for it."""

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a program wrote to standard output, the lines that it complained of, and its status."""

    stdout: bytes
    rejected: list[int]
    status: int


@dataclass(frozen=True)
class Case:
    """One run of an example: options of `enarx run`, arguments behind those of Enarx.toml, and input."""

    name: str
    stdin: bytes
    currency: str = "EUR"
    surplus: tuple[str, ...] = ()


CASES = [
    Case(
        "small",
        b"ann,tea,2\nbob,bread,1\n\ncarl,milk,1\nann,coffee,10\ndora,cheese,3\nbob,apple,x\n"
        b",apple,1\neve,apple,1000000\neve,apple,1,\nJ\xc3\xbcrg,apple,1\nann,tea,1",
        currency="CHF",
    ),
    Case("empty", b""),
    Case("usage", b"", surplus=("surplus",)),
]


def large(prices: Path) -> Case:
    """Orders of half a megabyte, the same ones every time."""
    items = sorted(read_prices(prices))
    state, lines = 1, []
    for _ in range(30_000):
        state = state * 6364136223846793005 + 1442695040888963407 & 2**64 - 1
        lines.append(f"c{(state >> 33) % 500},{items[(state >> 20) % len(items)]},{(state >> 43) % 100}\n")
    return Case("large", "".join(lines).encode())


def expected(case: Case, prices_file: Path, top: int) -> Outcome:
    """What a program must do."""
    if case.surplus:
        return Outcome(b"", [], 2)
    prices = read_prices(prices_file)
    totals: Counter[bytes] = Counter()
    accepted, rejected = 0, []
    for place, line in enumerate(case.stdin.split(b"\n"), 1):
        match = re.fullmatch(rb"([^,]+),([^,]*),([0-9]{1,6})", line)
        if match and match[2].decode() in prices:
            totals[match[1]] += prices[match[2].decode()] * int(match[3])
            accepted += 1
        elif line:
            rejected.append(place)
    customers = sorted(totals.items(), key=lambda customer: (-customer[1], customer[0]))
    rows = customers[:top]
    if customers[top:]:
        rows.append((b"others", sum(cents for _, cents in customers[top:])))
    rows.append((b"total", totals.total()))
    lines = [f"orders {accepted}, rejected {len(rejected)}".encode()]
    lines += [b"%s %d.%02d %s" % (name, *divmod(cents, 100), case.currency.encode()) for name, cents in rows]
    lines += [b"crc32 %08x" % zlib.crc32(case.stdin), b""]
    return Outcome(b"\n".join(lines), rejected, 3 if rejected else 0)


def read_prices(path: Path) -> dict[str, int]:
    """Cents by item."""
    rows = [row.split(",") for row in path.read_text().splitlines()[1:]]
    return {item: int(cents) for item, cents in rows}
