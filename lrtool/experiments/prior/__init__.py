"""What is known of learning rates before anything is trained at them."""
