"""Fleet risk at the gate: `rules` judges an intent; `gate` holds limits, reservations, equity and locks."""
