"""What the proxy writes: finished flows, in the tick in which they finish."""
