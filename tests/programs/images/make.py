"""Makes images of many kinds in a folder, the same in each run."""

import warnings
from collections.abc import Callable
from pathlib import Path

import make_geotiff
import make_others
import make_science
import make_tiff

# What is made, by name: a function of the path.
Recipe = tuple[str, Callable[[Path], None]]


def recipes() -> list[Recipe]:
    made = [*make_tiff.recipes(), *make_geotiff.recipes(), *make_others.recipes()]
    return [*made, *make_science.recipes()]


def corpus(folder: Path, share: int) -> int:
    """Each `share`th of the images; how many there are now."""
    # GDAL warns of each image that is nowhere on Earth.
    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    made = 0
    for name, recipe in recipes()[:: max(share, 1)]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        recipe(path)
        made += 1
    return made
