"""The web page: ``python -m ifirvos.webdemo``. :mod:`.job` does the work, :mod:`.page` is the Gradio interface."""
