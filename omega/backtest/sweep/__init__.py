"""Many combinations of parameters over one history, every finished one kept. Called by the CLI and by research.

Import from the modules: `run` (sweep), `plan` (Plan, Report), `space`, `goal`, `windows`, `study`, `results`, `warmth`.
"""
