"""Text for people: lines and tables, calm on a terminal and plain everywhere else.

Every string is shown with its control, bidirectional and zero-width characters escaped, and none is ever
read as markup. Two colours carry meaning: green is live, red is wrong.
"""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TextIO

from modelctl.domain.paths import printable

Style = Literal["live", "wrong", "strong", "faint", "plain"]
_SGR: dict[Style, str] = {"live": "32", "wrong": "31", "strong": "1", "faint": "2"}
_RICH: dict[Style, str] = {"live": "green", "wrong": "red", "strong": "bold", "faint": "dim"}
_GAP = "  "
_NARROWEST = 12


class Styled(NamedTuple):
    """A piece of text with a meaning."""

    text: str
    style: Style


Part = str | Styled


def live(text: str) -> Styled:
    """What is live."""
    return Styled(text, "live")


def wrong(text: str) -> Styled:
    """What is wrong."""
    return Styled(text, "wrong")


def strong(text: str) -> Styled:
    """What the eye should find first."""
    return Styled(text, "strong")


def faint(text: str) -> Styled:
    """What can be passed over."""
    return Styled(text, "faint")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `right` aligns numbers; `whole` cells are never folded (versions, tags)."""

    title: str
    right: bool = False
    whole: bool = False


@dataclass(slots=True)
class Screen:
    """Where a result is written: text is collected, then read from `text`.

    `width` is that of the terminal, None where there is none and lines may be as long as they are.
    """

    verbose: bool = False
    colour: bool = False
    width: int | None = None
    arrow: str = "→"
    _lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All lines so far."""
        return "".join(f"{line}\n" for line in self._lines)

    def line(self, *parts: Part, indent: int = 0) -> None:
        """Write the parts as one line."""
        self._lines.append(_GAP * indent + "".join(self._shown(part) for part in parts))

    def gap(self) -> None:
        """Write an empty line, unless nothing or one stands before it."""
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def section(self, title: str) -> None:
        """Write a title below an empty line."""
        self.gap()
        self.line(strong(title))

    def raw(self, text: str) -> None:
        """Write a line as it is: for what another program reads, of which every part was vetted before."""
        self._lines.append(text)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Part]], *, indent: int = 0) -> None:
        """Write aligned columns, with a line of titles where a column has one; empty columns are left out."""
        body = [[_clean(part) for part in row] for row in rows]
        kept = [n for n in range(len(columns)) if any(row[n].text for row in body)]
        shown = [columns[n] for n in kept]
        table = [[row[n] for n in kept] for row in body]
        if any(column.title for column in shown):
            table.insert(0, [_clean(faint(column.title)) for column in shown])
        widths = [max((_width(row[n].text) for row in table), default=0) for n in range(len(shown))]
        room = None if self.width is None else self.width - len(_GAP) * indent
        if room is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > room:
            self._lines += [_GAP * indent + line for line in self._folded(shown, table, widths, room)]
        else:
            self._lines += [_GAP * indent + self._aligned(shown, row, widths) for row in table]

    def _aligned(self, columns: Sequence[Column], row: Sequence[Styled], widths: Sequence[int]) -> str:
        cells = []
        for n, (column, cell) in enumerate(zip(columns, row, strict=True)):
            space = " " * (widths[n] - _width(cell.text))
            last = n == len(columns) - 1
            text = self._painted(cell)
            cells.append(space + text if column.right else text if last else text + space)
        return _GAP.join(cells).rstrip()

    def _folded(
        self, columns: Sequence[Column], table: Sequence[Sequence[Styled]], widths: Sequence[int], room: int
    ) -> list[str]:
        """A table too wide for the terminal: long cells go on below, versions and tags stay whole."""
        import io

        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        whole = [column.whole or (column.right and w <= _NARROWEST) for w, column in zip(widths, columns, strict=True)]
        least = sum(w if keep else min(w, _NARROWEST) for w, keep in zip(widths, whole, strict=True))
        grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, len(_GAP), 0, 0))
        for width, column, keep in zip(widths, columns, whole, strict=True):
            grid.add_column(
                justify="right" if column.right else "left",
                no_wrap=keep,
                min_width=width if keep else min(width, _NARROWEST),
                overflow="fold",
            )
        for row in table:
            grid.add_row(*(Text(cell.text, style=_RICH.get(cell.style, "")) for cell in row))
        output = io.StringIO()
        console = Console(
            file=output,
            width=max(room, least + len(_GAP) * len(widths)),
            force_terminal=self.colour,
            no_color=not self.colour,
            color_system="standard" if self.colour else None,
            highlight=False,
            emoji=False,
            markup=False,
        )
        console.print(grid)
        return [line.rstrip() for line in output.getvalue().splitlines()]

    def _shown(self, part: Part) -> str:
        return self._painted(_clean(part))

    def _painted(self, part: Styled) -> str:
        code = _SGR.get(part.style) if self.colour else None
        return f"\x1b[{code}m{part.text}\x1b[0m" if code and part.text else part.text


def open_screen(stream: TextIO | None, *, verbose: bool) -> Screen:
    """Return a screen that suits `stream`: coloured only on a terminal, and never with `NO_COLOR`.

    `stream` is None where standard output is closed.
    """
    terminal = stream is not None and stream.isatty()
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Screen(
        verbose=verbose,
        colour=terminal and not plain,
        width=shutil.get_terminal_size().columns if terminal else None,
        arrow="→" if _can_show("→", stream) else "->",
    )


def _can_show(text: str, stream: TextIO | None) -> bool:
    if stream is None:
        return True
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _clean(part: Part) -> Styled:
    styled = part if isinstance(part, Styled) else Styled(part, "plain")
    return Styled(printable(styled.text), styled.style)


def _width(text: str) -> int:
    """How many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
