"""The modules of ``mod_pywebsocket`` under their newer name: the same objects under both."""
