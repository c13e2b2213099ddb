#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Turns zbq-bench's JSON into one HTML page with tables and plots.

usage: report.py RESULTS.json REPORT.html
"""
import html
import io
import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

INSTRUCTIONS = pathlib.Path(__file__).with_name("instructions.txt")
SPELLS = ("near", "far")
STYLE = """body{font:15px sans-serif;max-width:60em;margin:2em auto}table{border-collapse:collapse}
td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}td:first-child{text-align:left}
.vague{color:#999}"""


def figure_of(system, spell=None):
    """Median of a spell; of the one with more slices where none is asked for."""
    spell = spell or max(SPELLS, key=lambda name: system[name]["slices"])
    return system[spell]["figure"]["median"] if system[spell]["slices"] else None


def cell(system, spell):
    found = system[spell]
    if not found["slices"]:
        return "<td></td><td></td>"
    style = ' class="vague"' if found["vague"] else ""
    ratio = found["ratio"]["median"]
    text = f"{found['figure']['median']:,.0f}"
    spread = f"{found['figure']['low']:,.0f} to {found['figure']['high']:,.0f}"
    shown = f"{ratio:.2f}" if ratio and not found["vague"] else ""
    return f'<td{style} title="half of {found["slices"]} slices: {spread}">{text}</td><td>{shown}</td>'


def table(workload):
    floor = f"; ratio: to the floor, {workload['floor']}" if workload["floor"] else ""
    rows = [f"<h3>{html.escape(workload['title'])}</h3><p>{workload['unit']}{floor}</p><table>",
            "<tr><th></th><th>near</th><th>ratio</th><th>far</th><th>ratio</th>"
            "<th>sender's CPU, ns</th><th>receivers' CPU, ns</th></tr>"]
    for system in workload["systems"]:
        name = html.escape(system["name"])
        if system["failure"]:
            reason = html.escape(system["failure"])
            rows.append(f'<tr><td>{name}</td><td colspan="6">{reason}</td></tr>')
            continue
        rows.append(f"<tr><td>{name}</td>{cell(system, 'near')}{cell(system, 'far')}"
                    f"<td>{system['sender_cpu_ns']:,.0f}</td>"
                    f"<td>{system['receiver_cpu_ns']:,.0f}</td></tr>")
    return "\n".join(rows + ["</table>"])


def svg(draw, xlabel, ylabel, ticks=None):
    figure, axes = plt.subplots(figsize=(8, 4.5))
    draw(axes)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(True, alpha=0.3)
    if ticks:
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.legend(fontsize="small")
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight")
    plt.close(figure)
    return out.getvalue()[out.getvalue().index("<svg"):]


def lines(workloads, x_of, y_of):
    """A line for each system over some workloads."""
    series = {}
    for workload in workloads:
        for system in workload["systems"]:
            value = None if system["failure"] else y_of(system)
            if value:
                series.setdefault(system["name"], []).append((x_of(workload), value))

    def draw(axes):
        for name, points in series.items():
            axes.plot(*zip(*sorted(points)), marker="o", label=name)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")

    return draw


def percentiles(workload):
    def draw(axes):
        for system in workload["systems"]:
            points = system.get("percentiles")
            if points:
                axes.plot(list(points), list(points.values()), marker="o", label=system["name"])
        axes.set_yscale("log")

    return draw


def instruction_counts():
    """Of one call, from the file that the tests hold the library to."""
    counts = {}
    with open(INSTRUCTIONS, encoding="utf-8") as lines_of:
        for line in lines_of:
            if ": " in line and not line.startswith("#"):
                call, count = line.rsplit(": ", 1)
                counts[call] = int(count)
    return counts


def calls_table(calls):
    counts = instruction_counts()
    rows = ["<h3>One call, nobody else at work</h3><table>",
            "<tr><th></th><th>consumers</th><th>ns</th><th>instructions</th></tr>"]
    for cost in calls["calls"]:
        count = counts.get(cost["call"], "") if cost["consumers"] == 1 else ""
        rows.append(f"<tr><td>{html.escape(cost['call'])}</td><td>{cost['consumers']}</td>"
                    f"<td>{cost['ns']:,.1f}</td><td>{count}</td></tr>")
    rows.append(f"</table><p>A consumer takes {calls['consumer_bytes']:,.0f} bytes and "
                f"{calls['consumer_descriptors']:.0f} descriptors, both ends together.</p>")
    return "\n".join(rows)


def targets_table(targets):
    rows = ["<h2>Targets</h2><table>",
            "<tr><th></th><th>wanted</th><th>near</th><th>far</th><th></th></tr>"]
    for target in targets:
        sign = "at most" if target["at_most"] else "at least"
        values = "".join(f"<td>{target[spell]:.2f}</td>" if spell in target else "<td></td>"
                         for spell in SPELLS)
        rows.append(f"<tr><td>{html.escape(target['what'])}</td>"
                    f"<td>{sign} {target['wanted']:g}</td>{values}<td>{target['verdict']}</td></tr>")
    return "\n".join(rows + ["</table>"])


def plots(workloads):
    sizes = [w for w in workloads if w["key"].startswith("throughput/") and w["batch"] == 1]
    fans = [w for w in workloads if w["key"].startswith("fan-out/")]
    if len(sizes) > 1:
        yield "Throughput by size", svg(lines(sizes, lambda w: w["size"], figure_of),
                                        "bytes of payload", "messages a second")
    if len(fans) > 1:
        yield "Fan-out", svg(lines(fans, lambda w: w["receivers"], figure_of), "receivers",
                             "messages a second, before fan-out", [w["receivers"] for w in fans])
        yield "CPU time of a delivered message", svg(
            lines(fans, lambda w: w["receivers"],
                  lambda s: s["sender_cpu_ns"] + s["receiver_cpu_ns"]),
            "receivers", "ns, both sides", [w["receivers"] for w in fans])
    for workload in workloads:
        if any("percentiles" in system for system in workload["systems"]):
            yield workload["title"], svg(percentiles(workload), "percentile", "ns one way")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as source:
        results = json.load(source)
    machine = ", ".join(f"{key}: {value}" for key, value in results["machine"].items())
    workloads = results.get("workloads", [])
    parts = [f"<!doctype html><meta charset=utf-8><title>zbq-bench</title><style>{STYLE}</style>",
             f"<h1>zbq-bench</h1><p>{html.escape(machine)}</p>",
             "<p>Medians of slices that alternate with the floor's; point at a figure for its "
             "spread. Near and far: how far apart the processors were. Grey: the spread is too "
             "wide to conclude anything.</p>"]
    parts += [f"<h2>{html.escape(title)}</h2>{drawing}" for title, drawing in plots(workloads)]
    if "calls" in results:
        parts.append(calls_table(results["calls"]))
    parts.append(targets_table(results.get("targets", [])))
    parts += ["<h2>All figures</h2>"] + [table(workload) for workload in workloads]
    with open(sys.argv[2], "w", encoding="utf-8") as page:
        page.write("\n".join(parts))


if __name__ == "__main__":
    main()
