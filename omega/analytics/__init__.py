"""What a market shows, as findings that say when they were knowable and how often such calls came true.

Called by the analytics service, the command line and research.
"""
