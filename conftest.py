"""Loads the audit plugin for everything below this folder."""

pytest_plugins = ["omnigrok.plugin.plugin", "pytester"]
