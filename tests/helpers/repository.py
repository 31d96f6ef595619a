"""Where the repository is, and the real faces beside it, where there are any."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
