"""Loads the audit plugin for everything below this folder."""

pytest_plugins = ["omnigrok.audit.plugin", "pytester"]
