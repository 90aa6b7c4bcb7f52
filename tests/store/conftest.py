"""Made-up Curves and stores."""

from store_fixtures import env, make_curves, refusal_naming, same, small_disk, start, store

__all__ = ["env", "make_curves", "refusal_naming", "same", "small_disk", "start", "store"]
