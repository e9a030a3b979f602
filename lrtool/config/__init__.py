"""Configs: YAML with positions, the schema, overrides and inheritance."""
