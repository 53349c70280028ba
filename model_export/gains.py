"""What each stage of training brought: the dev scores of the weights that it kept, off its log."""

from dataclasses import replace

import numpy as np

from model_export.run import Run


def gains(run: Run) -> list[dict[str, object]]:
    """Return BLEU and chrF on the dev sample after each stage that has measured them.

    Greedy, float32, by torch, as the stage itself did to choose its weights; `pairs` is how many
    it had to learn from.
    """
    place = {"set": run.set_name(run.recipe.corpus.dev), "sentences": len(run.dev_sample())}
    stages = [("training", run)]
    if run.recipe.refinement.steps:
        stages.append(("refinement", replace(run, folder=run.folder / "refined")))
    rows: list[dict[str, object]] = []
    for stage, at in stages:
        measured = [row for row in at.logged() if "chrf" in row]
        if measured:
            best = max(measured, key=lambda row: row["chrf"])
            scores = {f"dev_{name}": round(best[name], 2) for name in ("bleu", "chrf")}
            pairs = len(np.load(at.path("shares.npy"), mmap_mode="r", allow_pickle=False))
            rows.append({"after": stage, "step": best["step"], "pairs": pairs, **place, **scores})
    return rows
