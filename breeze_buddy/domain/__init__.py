"""The vocabulary and the rules: models, the lead's state machine, retry policy, outcome, calling window, flow.

Pure: no clock, no network, no database; imports nothing else of ours. Whoever needs the time passes it in.
"""
