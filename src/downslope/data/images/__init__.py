"""Images as a source: files of arrays, folders of pictures, Parquet columns of pictures, arrays in memory.

``is_images`` says whether a source is images, ``read_images`` brings it into memory as one array of pixels, and
``prepare_images`` makes it ready to train on, as ``data.features`` does for a table.
"""

from downslope.data.images.kinds import is_images
from downslope.data.images.pixels import Images
from downslope.data.images.prepare import PreparedImages, prepare_images
from downslope.data.images.reading import read_images

__all__ = ["Images", "PreparedImages", "is_images", "prepare_images", "read_images"]
