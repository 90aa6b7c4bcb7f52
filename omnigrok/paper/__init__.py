"""All that knows the Omnigrok paper: its panels and its reduced landscapes."""
