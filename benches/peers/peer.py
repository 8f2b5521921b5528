"""The peers of benches/peers: river's detectors and scipy's two-sample statistics.

Reads a request per line (JSON: {"case": NAME, "values": [FILE, ...], ...}; files hold little-endian float64), runs the case once
and answers with a line: {"nanos": PROCESSOR_TIME, "found": WHAT_IT_FOUND}. Reading files is not part of the time.
"""

import json
import os
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np
import river
import scipy
from river import drift
from river._river_rust.drift import AdaptiveWindowing
from scipy import stats


def by_class(detector):
    """As river's documentation has it: a loop over a detector."""

    def run(values):
        drifts = []
        for place, value in enumerate(values):
            detector.update(value)
            if detector.drift_detected:
                drifts.append(place)
        return drifts

    return run


def by_core(clock):
    """The compiled window under the class, with as little Python around it as can be."""
    window = AdaptiveWindowing(0.002, clock, 5, 5, 10)
    return lambda values: [place for place, is_drift in enumerate(map(window.update, values)) if is_drift]


def check(reference, current):
    """Of a feature: population stability index over deciles, Kolmogorov-Smirnov, Wasserstein, and the p-values of
    Kolmogorov-Smirnov and of chi-square over the deciles."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, 11)[1:-1]))
    counts = np.array([np.bincount(np.searchsorted(edges, of), minlength=len(edges) + 1) for of in (reference, current)])
    p, q = np.maximum(counts / counts.sum(axis=1, keepdims=True), 1e-4)
    farthest = stats.ks_2samp(reference, current)
    return (
        float(np.sum((q - p) * np.log(q / p))),
        float(farthest.statistic),
        float(stats.wasserstein_distance(reference, current)),
        float(farthest.pvalue),
        float(stats.chi2_contingency(counts, correction=False).pvalue),
    )


def window(features):
    measured = [check(reference, current) for reference, current in features]
    p_values = [p_value for row in measured for p_value in row[3:]]
    is_found = stats.false_discovery_control(p_values, method="by") <= 0.05
    return {"measured": measured, "discoveries": int(np.sum(is_found))}


def case(request, values):
    """What is to be run, and on what."""
    if request["case"] == "window":
        return window, list(zip(*(side.reshape(-1, request["size"]) for side in values)))
    runs = {
        "adwin": lambda: by_class(drift.ADWIN(clock=request["clock"])),
        "adwin_core": lambda: by_core(request["clock"]),
        "kswin": lambda: by_class(drift.KSWIN(seed=request["seed"])),
    }
    return runs[request["case"]](), values[0].tolist()


print(f"Python {sys.version.split()[0]}, river {river.__version__}, scipy {scipy.__version__}, numpy {np.__version__}", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    run, given = case(request, [np.fromfile(path, dtype="<f8") for path in request["values"]])
    begun = time.process_time_ns()
    found = run(given)
    print(json.dumps({"nanos": time.process_time_ns() - begun, "found": found}), flush=True)
