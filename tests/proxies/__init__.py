"""Slanger behind the real proxies of a distribution, with the very configuration files of the documentation."""
