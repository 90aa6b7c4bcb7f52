"""Training what a store lacks: plan, stacks, leases, the one writer."""
