"""lrtool's curves inside other people's training code."""
