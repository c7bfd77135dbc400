"""The side effects of workflows, one file for each thing touched."""
