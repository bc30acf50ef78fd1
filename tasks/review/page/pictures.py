"""The pictures of a review at the sizes that its page shows, each made once."""

from typing import Final, Literal

from tasks.review.page.payload import PayloadStore
from tasks.show.images import MAX_SIDE, encode_for_web

Size = Literal["tile", "page", "original"]

# Twice the CSS pixels of a tile, for screens of high density; the frame of the sample; more than any picture has.
SIDES: Final[dict[Size, int]] = {"tile": 256, "page": MAX_SIDE, "original": 2**16}
# An address names the run and the size, so what it shows never changes.
CACHING: Final = "private, max-age=31536000, immutable"


class Pictures:
    """Pictures by sample and size, drawn from the originals when they are first asked for."""

    def __init__(self, originals: PayloadStore) -> None:
        self._originals = originals
        self._made = PayloadStore()

    def get(self, sample_id: str, size: Size) -> tuple[bytes, str] | None:
        """Return a picture and its media type; None where the sample has none that can be shown."""
        key = f"{size} {sample_id}"
        if key in self._made:
            kept = self._made.get(key) or b""
            return kept, "image/png" if kept.startswith(b"\x89PNG") else "image/jpeg"
        data = self._originals.get(sample_id)
        made = encode_for_web(data, SIDES[size]) if data else None
        if made is not None and size != "original":
            self._made.put(key, made[0])
        return made
