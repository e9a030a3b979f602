"""Commands that several processes make together."""
