"""How fast stacks train, compared with loops as people write them: families, loops, interleaved
rounds, the table.
"""
