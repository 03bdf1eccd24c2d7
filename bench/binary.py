"""Where scripts find the pendula that they run."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def find(named, option, builds):
    """Its absolute path: what `option` named, where it did, else that of the first of the folders `builds` under
    build/ that has one. Raises FileNotFoundError with a sentence."""
    for place in [pathlib.Path(named)] if named else [ROOT / "build" / build / "pendula" for build in builds]:
        if place.is_file() and os.access(place, os.X_OK):
            return str(place.absolute())
    raise FileNotFoundError(
        f"{option} {named}: there is no such program; build it first, or name another" if named else
        f"there is no pendula in build/{' or build/'.join(builds)}: run scripts/quickstart first, or name one with "
        f"{option}")
