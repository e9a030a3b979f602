"""What optimizers are made of: groups of parameters, layers by depth, pure updates as torch optimizers."""
