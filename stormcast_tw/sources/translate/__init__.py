"""From a provider's quantities, levels and time steps to the variables, units and hours of this project."""
