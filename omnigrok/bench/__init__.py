"""How fast stacks train beside loops as people write them: families, loops, interleaved rounds, the
table.
"""
