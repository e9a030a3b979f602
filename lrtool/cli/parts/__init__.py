"""What several commands share besides their options: advice, --resume, processes of a launcher."""
