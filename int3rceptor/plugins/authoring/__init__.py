"""What plugin authors use: bindings, new plugins, trials over recorded flows."""
