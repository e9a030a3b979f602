"""Laws of loss curves on real runs of language models: fitted to three schedules, they predict six.

python tests/benchmarks/theory_prediction.py [FOLDER…]

Each folder has the curves of one model as CSV files, `../shared/data/loss_curves/*` beside the repository where none is
named. Prints R² and mean absolute error of every run that is predicted, and their means beside those that are wanted;
then the same for each law by itself, as a runner-up shows how much hangs on the choice.
"""

import sys
import time
from pathlib import Path

import numpy as np

from lrtool.report.theory.backtest import Backtest
from lrtool.report.theory.curves import loss_curve
from lrtool.report.theory.prediction import CurveErrors
from lrtool.theory.laws import LAWS
from lrtool.theory.laws.fit import fit_law

FITTED = ("cosine_24000", "constant_24000", "wsdcon_9")
PREDICTED = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")
#: What the multi-power law's authors reach on the smallest model (arXiv:2503.12811), and seconds.
R2, MAE, SECONDS = 0.9988, 0.0038, 10.0
ROOT = Path(__file__).parents[2]


def model(folder: Path) -> bool:
    """Fit, predict and print; whether it is as good as wanted."""
    began = time.perf_counter()
    fitted, held = ([folder / f"{name}.csv" for name in names] for names in (FITTED, PREDICTED))
    found = Backtest.of(fitted, held)
    seconds = time.perf_counter() - began
    print(f"{folder.name}: fitted to {', '.join(FITTED)}\n{found.text()}")
    mean = found.means()[found.law]
    good = mean["r2"] >= R2 and mean["mae"] <= MAE and seconds <= SECONDS
    inside = sum(bool(each.held) for each in found.tested)
    print(
        f"{found.law}: mean R² {mean['r2']:.5f} (wanted {R2}), mean absolute error {mean['mae']:.5f} (wanted {MAE}),"
        f" {seconds:.1f} s (wanted {SECONDS:.0f}); {inside} of {len(found.tested)} ends in the 90% band: "
        f"{'good' if good else 'MISSED'}"
    )
    curves, others = [loss_curve(each) for each in fitted], [loss_curve(each) for each in held]
    for law in LAWS:
        fit = fit_law(law, curves)
        errors = [CurveErrors.of(fit, each) for each in others]
        print(f"  {law.name} by itself: mean R² {np.mean([e.r2 for e in errors]):.5f},"
              f" mean absolute error {np.mean([e.mae for e in errors]):.5f}")  # fmt: skip
    return good


if __name__ == "__main__":
    folders = [Path(each) for each in sys.argv[1:]]
    for shared in (ROOT / "shared", ROOT.parent / "shared"):
        folders = folders or sorted(each for each in (shared / "data/loss_curves").glob("*") if each.is_dir())
    if not folders:
        sys.exit("no curves: name the folder that has them")
    results = [model(each) for each in folders]
    sys.exit(0 if all(results) else 1)
