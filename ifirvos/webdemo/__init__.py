"""The web page: ``python -m ifirvos.webdemo``. :mod:`.job` does the work, :mod:`.page` is what Gradio shows of it."""
