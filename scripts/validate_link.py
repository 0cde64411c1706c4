#!/usr/bin/env python3
"""The second half of validate-link.sh: predictions beside what was measured, as CSV, Markdown and SVG.

    scripts/validate_link.py results/validation

needs no root and measures nothing: DIR/CONGESTION/RTT-MBIT/{cold,warm}.csv are the runs of `longhaul query` over the delay
line, link.toml beside them what `longhaul probe` said, DIR/traces recorded executions. Standard library only; the binary is
$LONGHAUL, or target/release/longhaul.
"""

import csv
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

COLOURS = {"fused": "#1f77b4", "gmw": "#d62728", "gc": "#2ca02c"}
LONGHAUL = os.environ.get("LONGHAUL", pathlib.Path(__file__).resolve().parent.parent / "target/release/longhaul")
# Above every window of these links, as the kernel's buffers are.
WINDOW = "256 MiB"


def probed(path):
    """The keys of a probed link."""
    return dict(re.findall(r'^(\w+) = "([^"]*)"', path.read_text(), re.M))


def predicted(traces, link):
    """Online seconds by protocol over one link."""
    command = [LONGHAUL, "replay", *traces, "--link", link, "--format", "json"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {row["protocol"]: row["online_s"] for row in rows}


def numbers(folder):
    """Rate, then round-trip time."""
    rtt, mbit = map(int, folder.name.split("-"))
    return mbit, rtt


def rows(results, congestion):
    traces = sorted(map(str, (results / "traces").glob("*.trace")))
    for folder in sorted((results / congestion).iterdir(), key=numbers):
        mbit, rtt = numbers(folder)
        link = probed(folder / "link.toml")
        base = f"rtt={link['rtt']}, up={link['up']}, down={link['down']}"
        ideal = predicted(traces, f"{base}, model=ideal")
        for start in ("cold", "warm"):
            warm = str(start == "warm").lower()
            model = "tcp-bbr" if congestion == "bbr" else "tcp"
            tcp = predicted(traces, f"{base}, model={model}, max_window={WINDOW}, warm={warm}")
            with open(folder / f"{start}.csv") as file:
                runs = list(csv.DictReader(file))
            for protocol in dict.fromkeys(run["protocol"] for run in runs):
                times = sorted(float(run["online_s"]) for run in runs if run["protocol"] == protocol)
                measured = statistics.median(times)
                yield {
                    "congestion": congestion, "rtt_ms": rtt, "mbit": mbit, "start": start, "protocol": protocol,
                    "runs": len(times), "probed_rtt": link["rtt"], "probed_up": link["up"], "probed_down": link["down"],
                    "measured_s": round(measured, 6), "measured_min_s": times[0], "measured_max_s": times[-1],
                    "tcp_s": round(tcp[protocol], 6), "ideal_s": round(ideal[protocol], 6),
                    "tcp_error": round(tcp[protocol] / measured - 1, 4),
                    "ideal_error": round(ideal[protocol] / measured - 1, 4),
                }


def worst(errors):
    return max(errors, key=abs)


def markdown(table):
    def line(*cells):
        return "| " + " | ".join(cells) + " |\n"

    def summary(name, chosen):
        tcp, ideal = [r["tcp_error"] for r in chosen], [r["ideal_error"] for r in chosen]
        def both(errors):
            return f"{100 * statistics.median(map(abs, errors)):.1f} %", f"{100 * worst(errors):+.1f} %"
        return line(name, str(len(chosen)), *both(tcp), *both(ideal))

    text = line("", "conditions", "`tcp`: median error", "worst", "`ideal`: median error", "worst")
    text += line("---", "---:", "---:", "---:", "---:", "---:")
    for congestion in dict.fromkeys(r["congestion"] for r in table):
        own = [r for r in table if r["congestion"] == congestion]
        for protocol in dict.fromkeys(r["protocol"] for r in own):
            text += summary(f"{congestion}, {protocol}", [r for r in own if r["protocol"] == protocol])
        for start in ("cold", "warm"):
            text += summary(f"{congestion}, {start}", [r for r in own if r["start"] == start])
        text += summary(f"**{congestion}, all**", own)
    text += "\n" + line("RTT", "Mbit/s", "start", "protocol", "measured", "`tcp`", "error", "`ideal`", "error")
    text += line("---:", "---:", "---", "---", "---:", "---:", "---:", "---:", "---:")
    for r in table:
        if r["congestion"] == "cubic":
            text += line(f"{r['rtt_ms']} ms", str(r["mbit"]), r["start"], r["protocol"], f"{r['measured_s']:.3f} s",
                         f"{r['tcp_s']:.3f} s", f"{100 * r['tcp_error']:+.1f} %", f"{r['ideal_s']:.3f} s",
                         f"{100 * r['ideal_error']:+.1f} %")
    return text


def svg(table):
    """Error by condition: a column each; `tcp` filled, `ideal` open."""
    table = [r for r in table if r["congestion"] == "cubic"]
    columns = list(dict.fromkeys((r["mbit"], r["rtt_ms"], r["start"]) for r in table))
    left, top, step, height, low, high = 70, 50, 54, 360, -0.65, 0.15
    width = left + step * len(columns) + 30
    y = lambda error: top + height * (high - max(low, min(high, error))) / (high - low)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top + height + 110}" '
           'font-family="sans-serif" font-size="12">', f'<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="24" font-size="15">Predicted online time against a real TCP connection '
           '(CUBIC): error by condition</text>',
           f'<rect x="{left}" y="{y(0.05):.1f}" width="{step * len(columns)}" height="{y(-0.05) - y(0.05):.1f}" fill="#dfead9"/>']
    for tick in range(-60, 1, 20):
        out.append(f'<line x1="{left}" x2="{left + step * len(columns)}" y1="{y(tick / 100):.1f}" y2="{y(tick / 100):.1f}" '
                   f'stroke="{"#555" if tick == 0 else "#ddd"}"/>')
        out.append(f'<text x="{left - 8}" y="{y(tick / 100) + 4:.1f}" text-anchor="end">{tick} %</text>')
    protocols = list(dict.fromkeys(r["protocol"] for r in table))
    for place, column in enumerate(columns):
        x = left + step * (place + 0.5)
        for r in table:
            if (r["mbit"], r["rtt_ms"], r["start"]) != column:
                continue
            at = x + 10 * (protocols.index(r["protocol"]) - (len(protocols) - 1) / 2)
            colour = COLOURS.get(r["protocol"], "#777")
            out.append(f'<line x1="{at}" x2="{at}" y1="{y(r["ideal_error"]):.1f}" y2="{y(r["tcp_error"]):.1f}" stroke="{colour}" stroke-opacity="0.3"/>')
            out.append(f'<circle cx="{at}" cy="{y(r["ideal_error"]):.1f}" r="3.5" fill="white" stroke="{colour}"/>')
            out.append(f'<circle cx="{at}" cy="{y(r["tcp_error"]):.1f}" r="4" fill="{colour}"/>')
        mbit, rtt, start = column
        for down, words in enumerate((start, f"{rtt} ms", f"{mbit}")):
            out.append(f'<text x="{x}" y="{top + height + 18 + 16 * down}" text-anchor="middle">{words}</text>')
    out.append(f'<text x="{left - 8}" y="{top + height + 50}" text-anchor="end">Mbit/s</text>')
    x = left
    for protocol in protocols:
        colour = COLOURS.get(protocol, "#777")
        out.append(f'<circle cx="{x + 6}" cy="{top + height + 84}" r="4" fill="{colour}"/>'
                   f'<text x="{x + 16}" y="{top + height + 88}">{protocol}: tcp</text>'
                   f'<circle cx="{x + 86}" cy="{top + height + 84}" r="3.5" fill="white" stroke="{colour}"/>'
                   f'<text x="{x + 96}" y="{top + height + 88}">ideal</text>')
        x += 150
    out.append(f'<rect x="{x}" y="{top + height + 76}" width="16" height="14" fill="#dfead9"/>'
               f'<text x="{x + 22}" y="{top + height + 88}">within 5 %</text></svg>')
    return "\n".join(out) + "\n"


def main():
    results = pathlib.Path(sys.argv[1])
    kinds = [kind for kind in ("cubic", "bbr") if (results / kind).is_dir()]
    table = [row for kind in kinds for row in rows(results, kind)]
    with open(results / "validation.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    (results / "validation.md").write_text(markdown(table))
    (results / "validation.svg").write_text(svg(table))
    print(f"{results}/validation.csv, validation.md, validation.svg")


if __name__ == "__main__":
    main()
