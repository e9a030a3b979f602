"""Tables as people have them: read, understood column by column, and turned into numbers."""
