"""How often each detector of ``omnigrok.stats``, and each claim's check, errs on simulated data
that look like the paper's curves.
"""
