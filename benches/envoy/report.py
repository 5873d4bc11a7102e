"""Tables, and the results as SVG. Nothing is measured here."""

import math
import os
import platform
import statistics
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape


@dataclass
class Bar:
    """A value that must stay at or below a bar."""
    what: str
    value: float
    limit: float
    unit: str = ""
    note: str = ""
    # The bar must be met exactly, not undercut.
    exact: bool = False

    def reached(self):
        return self.value == self.limit if self.exact else self.value <= self.limit

    def cells(self):
        sign = "=" if self.exact else "≤"
        digits = 3 if self.limit < 0.1 else 2
        unit = f" {self.unit}" if self.unit else ""
        return [self.what, f"{self.value:.{digits}f}{unit}", f"{sign} {self.limit:g}{unit}",
                "yes" if self.reached() else "**no**", self.note]


def table(head, rows):
    """A Markdown table, readable as plain text too."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
                     for line in lines)


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def cpu_rows(bench):
    """Added CPU of each contender, in the order given."""
    for row in bench.rows:
        samples = bench.samples[row.key]
        low, high = quartiles(samples.added)
        total, added = statistics.median(samples.total), statistics.median(samples.added)
        yield [row.title, f"{total:.2f}", "" if row.key == "none" else f"{added:.2f}",
               "" if row.key == "none" else f"{low:.2f} to {high:.2f}"]


CPU_HEAD = ["contender", "CPU, µs a request", "over no filter", "middle half"]
BAR_HEAD = ["what", "measured", "bar", "reached", "how"]


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) >> 20
    return f"{model}, {os.cpu_count()} cores, {memory} GB, Linux {platform.release()}"


def chart(bench, path):
    """One dot per contender on a logarithmic scale, with the middle half of its slices as a line."""
    rows = [row for row in bench.rows if row.key != "none"]
    left, width, top, step = 470, 480, 70, 26
    height = top + step * len(rows) + 50
    low, high = 0.2, 200.0

    def x(value):
        share = math.log(max(value, low) / low) / math.log(high / low)
        return left + width * min(share, 1)

    colours = {"baseline": "#6b7280", "wasm": "#0f766e", "native": "#1d4ed8", "others": "#b45309"}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img">',
        "<title>CPU a request that each filter adds to Envoy</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        '<text x="16" y="28" font-size="17" font-weight="600" fill="#111827">CPU that each filter adds to a request'
        '</text>',
        '<text x="16" y="48" fill="#4b5563">microseconds over no filter, one worker; less is better; logarithmic '
        'scale</text>']
    for tick in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200):
        parts.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top - 8}" y2="{height - 36}" '
                     'stroke="#e5e7eb"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{height - 18}" text-anchor="middle" fill="#4b5563">{tick:g}</text>')
    for number, row in enumerate(rows):
        added = bench.samples[row.key].added
        middle, (lower, upper) = statistics.median(added), quartiles(added)
        y, colour = top + step * number + 8, colours[row.group]
        parts.append(f'<text x="{left - 14}" y="{y + 4}" text-anchor="end" fill="#111827">{escape(row.title)}</text>')
        parts.append(f'<line x1="{x(lower):.1f}" x2="{x(upper):.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
                     'stroke-width="3" stroke-opacity="0.4"/>')
        parts.append(f'<circle cx="{x(middle):.1f}" cy="{y}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x(max(middle, upper)) + 10:.1f}" y="{y + 4}" fill="#4b5563">{middle:.2f}</text>')
    parts.append("</svg>\n")
    path.write_text("\n".join(parts))
