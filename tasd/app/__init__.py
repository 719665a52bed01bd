"""A page on this machine that learns a person's own classes from a few clips and labels others.

`tasd.app.session` holds the classes and the questions, one worker thread runs the network, and
`tasd.app.api` serves both to the page in ``page/``, which fetches nothing from other hosts.
"""
