"""The five hook points, their verdicts and the dispatcher."""
