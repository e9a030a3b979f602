"""One model trained by several processes: their talk, the division of a batch, the model's copies or shards."""
