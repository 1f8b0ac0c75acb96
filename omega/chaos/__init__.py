"""The fault lab: the farm as processes under seeded faults, judged by the venue's own truth. Run by `omega chaos`.

The package itself imports nothing: the launcher of its child processes must cost a service no time.
"""
