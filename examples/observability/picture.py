#!/usr/bin/env python3
"""Draws the queries of dashboard.json with the data of a Prometheus. It is a drawing, not what Grafana shows.

usage: picture.py --prometheus http://127.0.0.1:9090 --seconds 240 --rate-interval 5s --output dashboard.png

Needs matplotlib. Fails if a query fails; a query without data leaves its panel empty.
"""

import argparse
import datetime
import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("agg")
# Keep text as text in an SVG.
matplotlib.rcParams.update({"svg.fonttype": "none", "font.size": 8})
from matplotlib import dates, pyplot, ticker  # noqa: E402  (after the choice of the backend)

DASHBOARD = pathlib.Path(__file__).with_name("dashboard.json")
CAPTION = "Drawn by picture.py from the queries of dashboard.json and the data of a Prometheus; not a screenshot of Grafana"
UNITS = {"reqps": "a second", "s": "seconds", "bytes": "bytes"}


def query_range(arguments, expression):
    """The series of an expression over the last seconds: a list of (labels, times, values)."""
    for variable, value in (("$job", ".*"), ("$instance", ".*"), ("$__rate_interval", arguments.rate_interval)):
        expression = expression.replace(variable, value)
    end = arguments.end
    step = max(1, arguments.seconds // 240)
    parameters = {"query": expression, "start": end - arguments.seconds, "end": end, "step": step}
    url = f"{arguments.prometheus}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            result = json.load(reply)["data"]["result"]
    except urllib.error.HTTPError as error:
        sys.exit(f"Prometheus refused a query of the dashboard: {expression}\n{error.read().decode()}")
    return [
        (series["metric"], [moment(point[0]) for point in series["values"]], [float(point[1]) for point in series["values"]])
        for series in result
    ]


def moment(unix_seconds):
    """A time of day, UTC."""
    return datetime.datetime.fromtimestamp(unix_seconds, datetime.timezone.utc)


def legend(target, labels):
    """Grafana's legendFormat, filled in."""
    return re.sub(r"{{\s*(\w+)\s*}}", lambda match: labels.get(match.group(1), ""), target["legendFormat"])


def draw_stat(axes, arguments, panel):
    """One number: the newest value."""
    series = query_range(arguments, panel["targets"][0]["expr"])
    values = series[0][2] if series else []
    value = values[-1] if values else float("nan")
    unit = panel["fieldConfig"]["defaults"]["unit"]
    text = {"percentunit": f"{100 * value:.1f} %", "s": f"{value:.0f} s", "reqps": f"{value:.1f} /s"}.get(unit, f"{value:.0f}")
    axes.set_axis_off()
    axes.text(0.5, 0.35, text, ha="center", va="center", fontsize=16, color="#2c7a3f")
    axes.set_title(panel["title"])


def draw_series(axes, arguments, panel):
    """Lines, or stacked areas."""
    custom = panel["fieldConfig"]["defaults"]["custom"]
    lines = [
        (legend(target, labels), times, values)
        for target in panel["targets"]
        for labels, times, values in query_range(arguments, target["expr"])
    ]
    if "stacking" in custom:
        times = sorted({each for _, moments, _ in lines for each in moments})
        bottom = [0.0] * len(times)
        for name, moments, values in lines:
            known = dict(zip(moments, values))
            top = [below + known.get(each, 0) for below, each in zip(bottom, times)]
            axes.fill_between(times, bottom, top, step="mid" if custom["drawStyle"] == "bars" else None, label=name, alpha=0.8)
            bottom = top
    else:
        for name, times, values in lines:
            axes.plot(times, values, label=name, linewidth=1.2)
    axes.set_xlim(moment(arguments.end - arguments.seconds), moment(arguments.end))
    axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=3, maxticks=6))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M:%S"))
    # Room for the legend above the highest value.
    highest = max([value for _, _, values in lines for value in values] + ([*bottom] if "stacking" in custom else []), default=0)
    axes.set_ylim(0, 1.35 * highest or 1)
    axes.yaxis.set_major_locator(ticker.MaxNLocator(4, integer=highest > 4))
    axes.grid(alpha=0.3)
    unit = UNITS.get(panel["fieldConfig"]["defaults"]["unit"])
    axes.set_title(panel["title"] + (f" ({unit})" if unit else ""))
    if lines:
        axes.legend(loc="upper left", fontsize=6, ncols=3, framealpha=0.6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", required=True, help="its address, such as http://127.0.0.1:9090")
    parser.add_argument("--seconds", type=int, required=True, help="how far back")
    parser.add_argument("--end", type=float, default=time.time(), help="Unix time of the right edge; now, if left out")
    parser.add_argument("--rate-interval", default="1m", help="Grafana's $__rate_interval: four scrape intervals")
    parser.add_argument("--output", required=True, type=pathlib.Path, help="a .png or .svg")
    arguments = parser.parse_args()

    panels = json.loads(DASHBOARD.read_text())["panels"]
    stats = [panel for panel in panels if panel["type"] == "stat"]
    series = [panel for panel in panels if panel["type"] == "timeseries"]
    rows = -(-len(series) // 3)
    figure = pyplot.figure(figsize=(13, 1 + 2.2 * rows))
    numbers, plots = figure.add_gridspec(2, 1, height_ratios=[0.35, rows], left=0.04, right=0.99, top=0.97, bottom=0.05, hspace=0.1)
    for cell, panel in zip(numbers.subgridspec(1, len(stats)), stats):
        draw_stat(figure.add_subplot(cell), arguments, panel)
    for cell, panel in zip(plots.subgridspec(rows, 3, hspace=0.45, wspace=0.15), series):
        draw_series(figure.add_subplot(cell), arguments, panel)
    day = moment(arguments.end).strftime("%Y-%m-%d")
    figure.supxlabel(f"time of day on {day}, UTC. {CAPTION}", fontsize=8)
    figure.savefig(arguments.output, dpi=80)


main()
