"""How the best LR moves with scale: measured points, a law through them, and what it says of a scale beyond them."""
