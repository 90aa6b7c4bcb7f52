"""The paper's figures redrawn from recorded curves: one module a kind of drawing, every seed shown,
nothing smoothed.
"""
