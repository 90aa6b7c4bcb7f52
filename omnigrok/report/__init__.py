"""An audit for people: one HTML page, a Markdown table, and the comparison of two audits."""
