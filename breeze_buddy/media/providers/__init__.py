"""Engines outside: recognition, speech and models of others, each behind the same three protocols as ours.

Nothing here is imported until it is configured, but for `choosing`, which does the choosing. What can go wrong with
a provider is `ProviderFailed`, so that whoever stands behind another (`failover`) knows when to step in.
"""
