"""Which recorded experiments each panel of the paper's figures is redrawn from, and how."""

from __future__ import annotations

from omnigrok.paper.maps import reduced
from omnigrok.paper.paths import ContoursBySize, ReducedDynamics, StraightPath
from omnigrok.report.drawing.dynamics import DynamicsCurves
from omnigrok.report.drawing.heat_maps import HeatMap
from omnigrok.report.drawing.reading import Reading
from omnigrok.report.drawing.reduced_losses import LandscapeCurve
from omnigrok.report.drawing.scaling import TimesAgainst
from omnigrok.report.panels import Panel

F2, F3, F4, F5, F6 = (
    "fig02_teacher_student",
    "fig03_mnist",
    "fig04_imdb",
    "fig05_qm9",
    "fig06_addition",
)
F7, F8, F9, F10, F11 = (
    "fig07_transformer",
    "fig08_mnist_representation",
    "fig09_transformer_landscape",
    "fig10_time_vs_decay",
    "fig11_cross_entropy",
)
LOSS, ERROR = Reading(), Reading("error")
# The published code of Figures 3, 4 and 5 takes the best logged value of each curve by itself.
BEST_LOSS, BEST_ERROR = Reading(best_under="code"), Reading("error", best_under="code")
REDUCED = Reading(reduce=reduced)
CODE_ACCURACY = {"code": "acc_code"}
ERROR_LEVELS = (0.1, 0.2, 0.3, 0.4)
MNIST_LOW = (f"{F10}:mnist_low",)

PANELS: tuple[Panel, ...] = (
    Panel(
        "2a",
        "Teacher-student: reduced training and test loss",
        (f"{F2}:landscape",),
        LandscapeCurve(LOSS, places={"fig02.train-L": "break", "fig02.test-U": "bottom"}),
    ),
    Panel(
        "2b",
        "Teacher-student: accuracy from a large and a small initialization",
        (f"{F2}:large", f"{F2}:small"),
        DynamicsCurves(
            ("alpha", "weight_decay"),
            under=CODE_ACCURACY,
            only={"weight_decay": (0.0, 0.03, 1.0)},
            reach=(0.95, 0.95),
        ),
    ),
    Panel(
        "2c",
        "Teacher-student: time to fit and to generalise against weight decay",
        (f"{F2}:large",),
        TimesAgainst(
            under=CODE_ACCURACY, fits="fig02.inverse", norm=True, spread="fig02.norm-at-grok"
        ),
        "fig02.inverse",
    ),
    Panel(
        "3a",
        "MNIST: reduced training error",
        (f"{F3}:landscape",),
        HeatMap(BEST_ERROR, "train", levels=ERROR_LEVELS),
    ),
    Panel(
        "3b",
        "MNIST: reduced test error",
        (f"{F3}:landscape",),
        HeatMap(BEST_ERROR, "test", levels=ERROR_LEVELS),
    ),
    Panel(
        "3c",
        "MNIST: reduced errors at a small and a large data size",
        (f"{F3}:landscape",),
        LandscapeCurve(BEST_ERROR, (200, 8000)),
    ),
    Panel(
        "3d",
        "MNIST: accuracy in the setting that groks, and from the standard initialization",
        (f"{F3}:dynamics",),
        DynamicsCurves(reach=(0.95, 0.8)),
    ),
    Panel(
        "3e",
        "MNIST: time to generalise against data size",
        (f"{F3}:time_vs_size",),
        TimesAgainst("n_train", test=0.8, groups="weight_decay"),
    ),
    Panel(
        "4a",
        "IMDb: reduced training error",
        (f"{F4}:landscape",),
        HeatMap(BEST_ERROR, "train", levels=(0.2, 0.25)),
    ),
    Panel(
        "4b",
        "IMDb: reduced test error",
        (f"{F4}:landscape",),
        HeatMap(BEST_ERROR, "test", levels=(0.2, 0.25)),
    ),
    Panel(
        "4c",
        "IMDb: reduced errors at a small and a large data size",
        (f"{F4}:landscape",),
        LandscapeCurve(BEST_ERROR),
    ),
    Panel(
        "4d",
        "IMDb: accuracy from a large and the standard initialization",
        (f"{F4}:dynamics",),
        DynamicsCurves(("alpha", "weight_decay")),
    ),
    Panel("5a", "QM9: reduced training loss", (f"{F5}:landscape",), HeatMap(BEST_LOSS, "train")),
    Panel("5b", "QM9: reduced test loss", (f"{F5}:landscape",), HeatMap(BEST_LOSS, "test")),
    Panel(
        "5c",
        "QM9: reduced losses at a small and a large data size",
        (f"{F5}:landscape",),
        LandscapeCurve(BEST_LOSS),
    ),
    Panel(
        "5d",
        "QM9: losses from a large and the standard initialization",
        (f"{F5}:dynamics",),
        DynamicsCurves(("alpha", "constraint"), column="loss"),
    ),
    Panel(
        "6a",
        "Toy addition: training loss over weight norm and messiness",
        (f"{F6}:landscape",),
        HeatMap(REDUCED, "train", "messiness", levels=(0.01, 0.05, 0.1)),
    ),
    Panel(
        "6b",
        "Toy addition: test loss over weight norm and messiness",
        (f"{F6}:landscape",),
        HeatMap(REDUCED, "test", "messiness", levels=(0.01, 0.05, 0.1)),
    ),
    Panel(
        "6c",
        "Toy addition: losses along the path of the reduced dynamics",
        (f"{F6}:fine",),
        ReducedDynamics(),
        "fig06.path",
    ),
    Panel(
        "6d",
        "Toy addition: training loss with the direction of descent",
        (f"{F6}:fine",),
        HeatMap(
            REDUCED, "train", "messiness", levels=(0.001, 0.01, 0.03, 0.1), size=45, arrows=True
        ),
    ),
    Panel(
        "6e",
        "Toy addition: the boundary by number of training pairs",
        (f"{F6}:sizes",),
        ContoursBySize(),
        "fig06.data-size",
    ),
    Panel(
        "7a",
        "Transformer: accuracy and weight norm, trained normally",
        (f"{F7}:free",),
        DynamicsCurves(("weight_decay",), norm=True, reach=(0.95, 0.95)),
    ),
    Panel(
        "7b",
        "Transformer: accuracy at constant weight norm, alpha = .8",
        (f"{F7}:held",),
        DynamicsCurves(norm=True, reach=(0.95, 0.95)),
    ),
    Panel(
        "8a",
        "MNIST: training loss over weight norm and messiness",
        (f"{F8}:landscape",),
        HeatMap(REDUCED, "train", "messiness", levels=(0.002, 0.01, 0.05)),
    ),
    Panel(
        "8b",
        "MNIST: test loss over weight norm and messiness",
        (f"{F8}:landscape",),
        HeatMap(REDUCED, "test", "messiness", levels=(0.002, 0.01, 0.05)),
    ),
    Panel(
        "8c",
        "MNIST: losses along the path A, B, C",
        (f"{F8}:landscape",),
        StraightPath(),
        "fig08.no-grok",
    ),
    Panel("9", "Transformer: reduced losses", (f"{F9}:landscape",), LandscapeCurve(LOSS)),
    Panel(
        "10a",
        "Transformer: time to generalise against weight decay",
        (f"{F10}:transformer",),
        TimesAgainst(fits="fig10.transformer-inverse"),
        "fig10.transformer-inverse",
    ),
    Panel(
        "10b",
        "MNIST: time to generalise against weight decay",
        (f"{F10}:mnist",),
        TimesAgainst(test=0.8, fits="fig10.mnist-inverse"),
        "fig10.mnist-inverse",
        optional=MNIST_LOW,
    ),
    Panel(
        "10c",
        "Transformer: accuracy by weight decay",
        (f"{F10}:transformer",),
        DynamicsCurves(("weight_decay",), reach=(0.95, 0.95)),
    ),
    Panel(
        "10d",
        "MNIST: accuracy by weight decay",
        (f"{F10}:mnist",),
        DynamicsCurves(("weight_decay",), reach=(0.95, 0.8)),
        optional=MNIST_LOW,
    ),
    Panel(
        "11a",
        "MNIST with cross-entropy: reduced training error",
        (f"{F11}:landscape_ce",),
        HeatMap(ERROR, "train", levels=ERROR_LEVELS),
    ),
    Panel(
        "11b",
        "MNIST with cross-entropy: reduced test error",
        (f"{F11}:landscape_ce",),
        HeatMap(ERROR, "test", levels=ERROR_LEVELS),
    ),
    Panel(
        "11c",
        "MNIST with cross-entropy: reduced errors at a small and a large data size",
        (f"{F11}:landscape_ce",),
        LandscapeCurve(ERROR, (200, 60000)),
    ),
    Panel(
        "12",
        "MNIST with cross-entropy: accuracy over training",
        (f"{F11}:plateau",),
        DynamicsCurves(("alpha", "weight_decay")),
    ),
)
