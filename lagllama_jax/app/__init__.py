"""A page on this machine to forecast a table in the browser (extra `app`).

The server answers with HTML that it has filled in, and with pictures that Matplotlib draws. The
page runs no script, and loads nothing from other hosts. Tables are read in one process and forecast
in another one, so that the page answers meanwhile, and so that both can be stopped.
"""
