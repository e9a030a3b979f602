"""One trial at a time: any model, any optimizer, any device."""
