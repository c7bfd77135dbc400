"""Twilio: client, TwiML, signatures, callback fields and error classes. The one place that imports the `twilio` package."""
