"""Draw `gain.svg` from the printed table `docs/results/review.md`: python docs/img/gain.py."""

import re
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "labelsweep"
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
rows = re.findall(r"^\| [\d,]+ \|(.*)\|$", (HERE.parent / "results" / "review.md").read_text(), re.MULTILINE)
cells = [[float(cell.split("%")[0]) for cell in row.split("|")] for row in rows]
share, ours, peer, chance = zip(*cells, strict=True)
figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
axes.plot(share, ours, "o-", label="labelsweep", color="#3f51b5", linewidth=2.4)
axes.plot(share, peer, "s--", label="cleanlab", color="#ef6c00")
axes.plot(share, chance, "^:", label="random order", color="#78909c")
axes.set(
    xscale="symlog",
    xlim=(0, 100),
    xlabel="share of the data reviewed (%)",
    ylabel="accuracy on clean samples (%)",
)
axes.set_xscale("symlog", linthresh=10)
axes.set_xticks([0, 2.5, 5, 7.5, 10, 20, 50, 100], labels=["0", "2.5", "5", "7.5", "10", "20", "50", "100"])
axes.minorticks_off()
axes.grid(alpha=0.3)
axes.legend(frameon=False, loc="lower right")
figure.savefig(HERE / "gain.svg", metadata={"Date": None})
