"""Sizes of the scatter in the simulations, estimated from recorded runs; all standard deviations
are of natural logs.

Teacher-student: the recorded paper-tier evidence of Figure 2 (10 seeds, protocol ``paper``). The
others are medians over settings of the standard deviation over the 3 seeds of smoke runs, which is
the scatter of small networks. Where the paper tier has been recorded since,
tests/paper/test_noise.py holds them against it: within a factor of two, MNIST
times on the safe side, MNIST errors a factor 1.6 too small (``omnigrok power CLAIM --scatter 1.6``
says what that does).
"""

from __future__ import annotations

import numpy as np

# Figure 2a, alpha = .1 to 10 in 11 steps: mean and standard deviation over seeds of the log reduced
# losses.
ALPHAS = np.geomspace(0.1, 10, 11)
TRAIN_LOSS = np.array(
    [-3.98, -4.28, -5.20, -8.03, -15.54, -15.64, -14.69, -27.23, -27.30, -25.97, -13.46]
)
TRAIN_LOSS_SD = np.array([0.27, 0.30, 0.42, 0.30, 0.49, 0.60, 1.38, 5.34, 6.72, 4.20, 1.06])
TEST_LOSS = np.array([-3.88, -4.16, -5.00, -7.52, -9.90, -9.72, -6.78, -3.43, -1.01, 0.76, 2.16])
TEST_LOSS_SD = np.array([0.28, 0.29, 0.41, 0.26, 0.30, 0.22, 0.29, 0.14, 0.11, 0.13, 0.13])
# Correlation of neighbouring scales within a seed, after the mean over seeds is removed.
LOSS_CORRELATION = 0.5

# Figure 2c, weight decays .03 to 1: each seed's own level and slope of log t on log weight decay,
# and what is left.
WEIGHT_DECAYS = np.array([0.03, 0.055, 0.1, 0.17, 0.3, 0.55, 1.0])
TEST_LEVEL_SD, TEST_SLOPE_SD, TEST_RESIDUAL_SD = 0.37, 0.073, 0.092
FIT_LEVEL_SD, FIT_SLOPE_SD, FIT_RESIDUAL_SD = 0.154, 0.007, 0.012
# t_test at weight decay .03, and log t_test / t_train of one seed, from alpha = 2 and from alpha =
# .5.
TEST_TIME, FIT_TIME = 13_700.0, 186.0
DELAY_SD, SMALL_DELAY_SD = 0.45, 0.12
# The bend that was found: t = a / gamma + b with b / a = 1.1 (upper half -.75, lower half -.93).
DELAY_SHARE = 1.1
# The norm at t_test: largest over smallest among weight decays; w0; the rate of decay over its
# nominal one.
NORM_SPREAD_SD, INITIAL_NORM_SD, DECAY_RATE_SD = 0.023, 0.0125, 0.01
# Spheres of Figure 2: ln(w0 / w_c) at alpha = 2 and the standard deviation of its log, how fast the
# logit of the test accuracy falls with ln w, and the log of a forecast time over the measured one.
CRITICAL_DEPTH, CRITICAL_DEPTH_SD, ACCURACY_SLOPE, FORECAST_SD = 0.1, 0.43, 12.0, 0.2

# Figure 3 and other tasks, from smoke runs: log test error, log time to a test accuracy, log loss,
# log norm at the end.
MNIST_ERROR_SD, MNIST_TIME_SD, MNIST_LOSS_SD = 0.03, 0.19, 0.04
TRANSFORMER_TIME_SD, TRANSFORMER_LOSS_SD = 0.08, 0.12
ADDITION_LOSS_SD, IMDB_LOSS_SD = 0.29, 0.08
IMDB_ERROR_SD = 0.025
# Figure 5, recorded landscape under `paper` (5 seeds, 7 scales, 2 sizes), root mean square over
# settings: log train loss, and log test over train loss.
QM9_LOSS_SD, QM9_GAP_SD = 0.55, 0.4
# Figures 6 and 8, log losses over (w, m): what the cells of one seed share, and
# what is left from cell to cell (second differences along the scale).
ADDITION_SEED_SD, ADDITION_CELL_SD = 0.3, 0.06
REPRESENTATION_SEED_SD, REPRESENTATION_CELL_SD = 0.08, 0.1


def least_error_sd(n_train: int) -> float:
    """Of the log of the least test error over scales, between seeds with random subsets of MNIST
    (Figure 3, ``paper``, 6 seeds).
    """
    return float(0.11 * max(n_train / 100, 1.0) ** -0.4)
