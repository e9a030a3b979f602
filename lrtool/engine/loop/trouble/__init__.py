"""What becomes of a trial that breaks down: where it did, and how it goes on."""
