"""Text tables in Markdown."""

from dataclasses import dataclass, field


@dataclass
class Table:
    """Rows of cells with a title."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]] = field(default_factory=list)

    def markdown(self) -> list[str]:
        """Return the lines of the table without its title."""
        return [_line(self.columns), _line(["---"] * len(self.columns)), *map(_line, self.rows)]


def _line(cells) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
