"""Statistics of the audit: arrays of per-seed numbers in, Findings out. Which test and why:
docs/statistics.md.
"""

from omnigrok.stats.agreement import equivalent, intraclass, share
from omnigrok.stats.censoring import censored_mean, time_ratio
from omnigrok.stats.comparison import interval, mean_in_region, sign_flip_p, spearman_in_region
from omnigrok.stats.critical import critical_size
from omnigrok.stats.delayed import fit_delayed_inverse
from omnigrok.stats.finding import Finding, Region, Verdict, conjunction
from omnigrok.stats.landmarks import argmin, gap_integral, knee, zone_width
from omnigrok.stats.multiplicity import benjamini_hochberg, holm
from omnigrok.stats.plateau import longest_stay
from omnigrok.stats.powerlaw import (
    additive_delay,
    exponent,
    largest_range,
    slope_equivalent,
    slope_on,
)
from omnigrok.stats.ranges import widest_range
from omnigrok.stats.shape import arms, l_shape, trend, u_shape
from omnigrok.stats.threshold import bracket, dose_response
from omnigrok.stats.times import Time, time_to, times_from
from omnigrok.stats.twolines import TwoLines, two_lines

__all__ = [
    "Finding",
    "Region",
    "Time",
    "TwoLines",
    "Verdict",
    "additive_delay",
    "argmin",
    "arms",
    "benjamini_hochberg",
    "bracket",
    "censored_mean",
    "conjunction",
    "critical_size",
    "dose_response",
    "equivalent",
    "exponent",
    "fit_delayed_inverse",
    "gap_integral",
    "holm",
    "interval",
    "intraclass",
    "knee",
    "l_shape",
    "largest_range",
    "longest_stay",
    "mean_in_region",
    "share",
    "sign_flip_p",
    "slope_equivalent",
    "slope_on",
    "spearman_in_region",
    "time_ratio",
    "time_to",
    "times_from",
    "trend",
    "two_lines",
    "u_shape",
    "widest_range",
    "zone_width",
]
