"""What a JPEG shows, read by another library than the one that wrote it."""

from io import BytesIO

import numpy as np
from PIL import Image


def shown_by(jpeg):
    """Pixels [H, W, 3] RGB of a JPEG's bytes."""
    return np.asarray(Image.open(BytesIO(bytes(jpeg)), formats=['JPEG']).convert('RGB'))
