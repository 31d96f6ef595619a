"""Networks and optimisers by their settings; `build.py` is the only door."""
