"""Networks that fit their board: distilled from themselves, without anybody's data."""
