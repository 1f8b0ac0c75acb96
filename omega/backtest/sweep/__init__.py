"""Many combinations of parameters over one history. Called by the command line and by research."""
