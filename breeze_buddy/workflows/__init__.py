"""What happens, durably: the campaign and the lead as Temporal workflows.

Workflow code imports the domain, and activities for their signatures only;
it never touches a clock, a socket or a table.
"""
