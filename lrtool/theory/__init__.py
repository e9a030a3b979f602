"""What theory says of schedules: convergence bounds, refined schedules, laws of loss curves. Pure numpy and scipy."""
