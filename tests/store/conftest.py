"""Made-up Curves, a toy Run, stores."""

from store_fixtures import env, make_curves, refusal_naming, same, small_disk, start, store, toy

__all__ = ["env", "make_curves", "refusal_naming", "same", "small_disk", "start", "store", "toy"]
