"""An executable audit of "Omnigrok: Grokking Beyond Algorithmic Data" (Liu, Michaud, Tegmark, ICLR
2023).
"""

__version__ = "0.1.0"
