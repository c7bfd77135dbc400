"""The vocabulary and the rules: models, the state machine of a lead, retry policy, outcome, window, flow.

Pure: no clock, no network, no database; imports nothing else of ours. Whoever needs the time passes it in.
"""
