"""The report of all sections as one Markdown page."""

from typing import Any

from benchmarks.accelerator.table import Table


def page(report: dict[str, Any]) -> str:
    """Format a report of `benchmarks.accelerator` as Markdown."""
    devices, machine = report["devices"], report["machine"]
    lines = [
        f"# {devices['count']} x {devices['kind']} ({devices['platform']})",
        "",
        f"`python -m benchmarks.accelerator`, {report['scale']} scale, {report['seconds']:.0f} s. "
        + ", ".join(f"{key} {value}" for key, value in machine.items()),
        "",
    ]
    if devices["platform"] == "cpu":
        lines += [
            "**A CPU, no accelerator**: this shows that the sections run, not how fast a GPU or TPU is.",
            "",
        ]
    for name, section in report["sections"].items():
        lines += _section(name, section)
    return "\n".join(lines)


def failed(report: dict[str, Any]) -> bool:
    """Return whether a section failed or an error exceeds its tolerance."""
    sections = report["sections"].values()
    return any(
        section["status"].startswith("failed")
        or section.get("failures")
        or any("NO" in row for row in section["rows"])
        for section in sections
    )


def _section(name: str, section: dict[str, Any]) -> list[str]:
    lines = [f"## {section.get('title', name)}", ""]
    if section["rows"]:
        lines += [*Table("", tuple(section["columns"]), section["rows"]).markdown(), ""]
    if section.get("note"):
        lines += [section["note"], ""]
    spent = f" ({section['seconds']:.0f} s)" if "seconds" in section else ""
    lines += [f"{name}: {section['status']}{spent}.", ""]
    lines += [f"- failed: {failure}" for failure in section.get("failures", [])]
    lines += [f"- skipped: {skipped}" for skipped in section.get("skipped", [])]
    return [*lines, ""] if lines[-1] else lines
